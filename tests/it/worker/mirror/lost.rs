//! A room on two workers, one of which is lost.

use super::*;

#[test]
fn when_the_mirror_is_lost_the_home_goes_on_and_shares_with_the_one_in_its_place() {
    let mut spread = Spread::new(2);
    let mut near = join_home(&mut spread, 50);
    spread.publish(true, 500);
    let before = spread.home.stats();
    assert_eq!(before.mirrored_packets, 1);

    // The lost worker's end of the link was closed; packets go on meanwhile.
    spread.mirror = worker_again(spread.now, &spread.identity, 1, 1);
    let packet = spread.next_packet(false, 500);
    assert_eq!(taken(&mut spread, &mut near, &packet), 1);
    spread.home.unlink(spread.now, 1);
    for _ in 0..20 {
        let packet = spread.next_packet(false, 500);
        assert_eq!(
            taken(&mut spread, &mut near, &packet),
            1,
            "who lives at home sees nothing"
        );
    }
    let after = spread.home.stats();
    assert_eq!(
        after.mirror_dropped_packets, before.mirror_dropped_packets,
        "nobody is passed anything"
    );
    assert_eq!(after.mirrored_packets, before.mirrored_packets + 1);

    link(spread.now, &mut spread.home, &mut spread.mirror);
    spread.far.clear();
    spread.join(30);
    let got = spread.publish(true, 500);
    assert_eq!(got[0].len(), 1, "whoever came to the worker in its place watches");
    assert_eq!(spread.mirror.stats().mirrored_tracks, 1);
    spread.leave(0);
    assert_eq!(spread.mirror.stats().mirrored_tracks, 0);
}

#[test]
fn when_the_home_is_lost_the_mirror_ends_what_came_from_there_and_nothing_else() {
    let mut spread = Spread::new(2);
    assert_eq!(spread.publish(true, 500).iter().map(Vec::len).sum::<usize>(), 2);
    assert_eq!(spread.mirror.stats().mirrored_tracks, 1);
    spread.mirror.unlink(spread.now, 0);
    let stats = spread.mirror.stats();
    assert_eq!((stats.mirrored_tracks, stats.peers, stats.subscriptions), (0, 2, 2));

    // The room comes again, at the home in the lost one's place, before the hub has closed the old connections.
    spread.home = worker_again(spread.now, &spread.identity, 0, 1);
    let (home, mirror) = (&mut spread.home, &mut spread.mirror);
    link(spread.now, home, mirror);
    spread.settle();
    spread.leave(0);
    spread.leave(0);
    let rooms = |worker: &Worker| (worker.stats().rooms, worker.stats().peers);
    assert_eq!((rooms(&spread.home), rooms(&spread.mirror)), ((0, 0), (0, 0)));
    let own = DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(1, None, vec![video(true, 0x9000)], &spread.identity, &own);
    publisher.connect(spread.now, &mut spread.home);
    spread.publisher = publisher;
    spread.join(40);
    spread.sequence = 0;
    for at in 0..10 {
        assert_eq!(spread.publish(at == 0, 500)[0].len(), 1);
    }
}

#[test]
fn a_link_that_is_made_anew_takes_the_place_of_one_whose_end_has_not_been_noticed() {
    let mut spread = Spread::new(1);
    spread.publish(true, 500);
    spread.mirror = worker_again(spread.now, &spread.identity, 1, 1);
    link(spread.now, &mut spread.home, &mut spread.mirror);
    spread.far.clear();
    spread.join(30);
    assert_eq!(spread.publish(true, 500)[0].len(), 1);
}

/// A new subscriber at home.
fn join_home(spread: &mut Spread, number: u64) -> Client {
    let own = DtlsIdentity::generate().unwrap();
    let section = video(false, 0x2_0000 + 16 * number as u32);
    let mut client = Client::new(number, Some(1), vec![section], &spread.identity, &own);
    client.connect(spread.now, &mut spread.home);
    client
}

/// The number of packets that a subscriber at home gets of one published packet.
fn taken(spread: &mut Spread, near: &mut Client, packet: &[u8]) -> usize {
    let now = spread.now;
    let sent = spread.publish_at_home(packet);
    let address = near.address;
    let mine = sent.iter().filter(|(to, _)| *to == address);
    mine.filter_map(|(_, bytes)| near.take(now, bytes)).count()
}
