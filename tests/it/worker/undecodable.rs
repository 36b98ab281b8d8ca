//! Subscriptions that can carry nothing: counted, reported once, and ended when something else is sent.

use patchbay::ids::{Feed, FeedRef, ParticipantId};
use patchbay::media::codec::Kind;
use patchbay::media::codec::h264::Profile;
use patchbay::media::names::{Down, TrackName, TrackRef};

use super::*;

const AV1: Codec = Codec::Av1 { profile: 0, tier: 0 };

fn h264(profile: Profile, packetization_mode: u8) -> Codec {
    Codec::H264 {
        profile,
        packetization_mode,
    }
}

/// A section with these codecs, whose payload types count from 100.
fn video_of(codecs: &[Codec], receive: bool, local_ssrc: u32) -> MediaSection {
    let mut section = video(receive, local_ssrc);
    section.codecs = (100..)
        .zip(codecs)
        .map(|(payload_type, &known)| codec(payload_type, None, known))
        .collect();
    section
}

/// A publisher of the first codecs and a subscriber of the second.
fn stage(published: &[Codec], decoded: &[Codec]) -> Stage {
    let mut stage = Stage::new(0);
    offers(&mut stage, published);
    let section = video_of(decoded, false, 0x2_0020);
    let own = DtlsIdentity::generate().unwrap();
    let mut client = Client::new(2, Some(1), vec![section], &stage.identity, &own);
    client.connect(stage.now, &mut stage.worker);
    stage.subscribers.push(client);
    events(&mut stage.worker);
    stage
}

/// Renews the publisher's connection with these codecs.
fn offers(stage: &mut Stage, published: &[Codec]) {
    stage.publisher.spec.sections = vec![video_of(published, true, 0x9000)];
    stage.publisher.open(stage.now, &mut stage.worker);
}

/// Sends a key frame, and then one more packet each 100 ms for a second. Returns how many the subscriber gets.
fn send(stage: &mut Stage, payload_type: u8, key_frame: &[u8]) -> usize {
    let mut got = 0;
    for at in 0..10 {
        let sequence = stage.sequence;
        stage.sequence += 1;
        let payload = if at == 0 { key_frame } else { &[0x41, 0x9a, 0, 0] };
        let timestamp = u32::from(sequence) * 9_000;
        let packet = rtp(payload_type, true, sequence, timestamp, VIDEO_SSRC, payload);
        got += stage.publish_packet(&packet)[0].len();
        stage.pass(Duration::from_millis(100));
    }
    got
}

/// Parameter sets and an IDR slice in one packet (RFC 6184 §5.7.1).
const IDR: [u8; 13] = [0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88];
/// One element, with which a new coded video sequence begins (AV1 RTP §4.4).
const AV1_KEY: [u8; 3] = [0x18, 0x0a, 0x0b];

const PUBLISHER: ParticipantId = ParticipantId(1);

fn reports(stage: &mut Stage) -> Vec<MediaEvent> {
    let about_decoding =
        |event: &MediaEvent| matches!(event, MediaEvent::Undecodable { .. } | MediaEvent::Decodable { .. });
    events(&mut stage.worker).into_iter().filter(about_decoding).collect()
}

fn undecodable(stage: &Stage, codec: Codec) -> MediaEvent {
    MediaEvent::Undecodable {
        peer: stage.subscribers[0].spec.peer,
        publisher: PUBLISHER,
        kind: Kind::Video,
        codec,
    }
}

fn decodable(stage: &Stage) -> MediaEvent {
    MediaEvent::Decodable {
        peer: stage.subscribers[0].spec.peer,
        publisher: PUBLISHER,
        kind: Kind::Video,
    }
}

#[test]
fn a_subscriber_that_decodes_none_of_the_sent_formats_is_reported_once_and_counted() {
    let mut stage = stage(&[AV1, Codec::Vp8], &[Codec::Vp8]);
    assert_eq!(send(&mut stage, 100, &AV1_KEY), 0);
    assert_eq!(send(&mut stage, 100, &AV1_KEY), 0);
    assert_eq!(reports(&mut stage), [undecodable(&stage, AV1)]);
    assert_eq!(stage.worker.stats().undecodable, 1);

    // The publisher changes the format: the picture is there, and so is the report of it.
    assert_eq!(send(&mut stage, 101, &vp8(true, 1, 100)), 10);
    assert_eq!(reports(&mut stage), [decodable(&stage)]);
    assert_eq!(stage.worker.stats().undecodable, 1);
}

#[test]
fn a_new_offer_with_another_format_brings_the_picture_to_subscribers_who_had_none() {
    let mut stage = stage(&[AV1], &[Codec::Vp8]);
    assert_eq!(send(&mut stage, 100, &AV1_KEY), 0);
    assert_eq!(reports(&mut stage), [undecodable(&stage, AV1)]);
    offers(&mut stage, &[Codec::Vp8, AV1]);
    assert_eq!(send(&mut stage, 100, &vp8(true, 1, 100)), 10);
    assert_eq!(reports(&mut stage), [decodable(&stage)]);
}

#[test]
fn a_subscriber_that_offers_to_decode_it_is_served_from_then_on() {
    let mut stage = stage(&[AV1], &[Codec::Vp8]);
    send(&mut stage, 100, &AV1_KEY);
    assert_eq!(reports(&mut stage), [undecodable(&stage, AV1)]);
    stage.subscribers[0].spec.sections = vec![video_of(&[Codec::Vp8, AV1], false, 0x2_0020)];
    stage.subscribers[0].open(stage.now, &mut stage.worker);
    assert_eq!(send(&mut stage, 100, &AV1_KEY), 10);
    assert_eq!(reports(&mut stage), [decodable(&stage)]);
}

#[test]
fn a_publisher_that_is_muted_or_has_left_is_undecodable_to_nobody() {
    let mut muted = stage(&[AV1], &[Codec::Vp8]);
    send(&mut muted, 100, &AV1_KEY);
    assert_eq!(reports(&mut muted), [undecodable(&muted, AV1)]);
    muted.pass(Duration::from_secs(6));
    assert_eq!(reports(&mut muted), [decodable(&muted)]);

    let mut stage = stage(&[AV1], &[Codec::Vp8]);
    send(&mut stage, 100, &AV1_KEY);
    assert_eq!(reports(&mut stage), [undecodable(&stage, AV1)]);
    let publisher = stage.publisher.spec.peer;
    stage.worker.handle_command(stage.now, MediaCommand::Close(publisher));
    stage.pass(Duration::from_secs(1));
    assert_eq!(reports(&mut stage), [decodable(&stage)]);
}

/// Sends a key frame of a camera and one of a screen in these formats, two tracks of one publisher. Returns the reports then.
fn shows(stage: &mut Stage, payload_types: [u8; 2]) -> Vec<MediaEvent> {
    for (payload_type, ssrc) in payload_types.into_iter().zip([VIDEO_SSRC, SCREEN_SSRC]) {
        let key: &[u8] = if payload_type == 100 {
            &AV1_KEY
        } else {
            &vp8(true, 1, 100)
        };
        let sequence = stage.sequence;
        stage.sequence += 1;
        stage.publish_packet(&rtp(
            payload_type,
            true,
            sequence,
            u32::from(sequence) * 9_000,
            ssrc,
            key,
        ));
    }
    stage.pass(Duration::from_millis(500));
    reports(stage)
}

const SCREEN_SSRC: u32 = VIDEO_SSRC + 0x100;

/// A subscriber of VP8 who watches a camera and a screen.
fn camera_and_screen() -> Stage {
    let mut stage = stage(&[AV1, Codec::Vp8], &[Codec::Vp8]);
    let mut screen = video_of(&[AV1, Codec::Vp8], true, 0x9100);
    screen.mid = b"1".as_slice().into();
    screen.remote_ssrcs[0].ssrc = SCREEN_SSRC;
    screen.up = Some(TrackName {
        feed: Feed::Screen,
        ..up(Kind::Video)
    });
    stage.publisher.spec.sections.push(screen);
    stage.publisher.open(stage.now, &mut stage.worker);
    let mut screen = video_of(&[Codec::Vp8], false, 0x2_0040);
    screen.mid = b"1".as_slice().into();
    let watched = FeedRef {
        participant: PUBLISHER,
        feed: Feed::Screen,
    };
    screen.down = Some(Down::Track(TrackRef::first(watched, Kind::Video)));
    stage.subscribers[0].spec.sections.push(screen);
    stage.subscribers[0].open(stage.now, &mut stage.worker);
    stage
}

#[test]
fn a_notice_about_pictures_is_over_when_all_of_them_are_decoded() {
    let mut stage = camera_and_screen();
    assert_eq!(shows(&mut stage, [100, 100]), [undecodable(&stage, AV1)]);
    assert_eq!(shows(&mut stage, [100, 101]), []);
    assert_eq!(shows(&mut stage, [101, 101]), [decodable(&stage)]);
    stage.pass(Duration::from_secs(10));
    assert_eq!(shows(&mut stage, [101, 100]), [undecodable(&stage, AV1)]);
    assert_eq!(shows(&mut stage, [100, 101]), []);
    assert_eq!(shows(&mut stage, [101, 101]), [decodable(&stage)]);
    assert_eq!(stage.worker.stats().undecodable, 2);
}

#[test]
fn what_one_picture_changes_to_does_not_put_off_the_notice_about_another() {
    for decoded_in_both_formats in [0, 1] {
        let mut stage = camera_and_screen();
        let sections = &mut stage.subscribers[0].spec.sections;
        let both = video_of(&[AV1, Codec::Vp8], false, 0);
        sections[decoded_in_both_formats].codecs = both.codecs;
        stage.subscribers[0].open(stage.now, &mut stage.worker);
        assert_eq!(shows(&mut stage, [101, 101]), []);
        stage.pass(Duration::from_secs(3));
        // Both change at once.
        assert_eq!(shows(&mut stage, [100, 100]), [undecodable(&stage, AV1)]);
    }
}

#[test]
fn a_notice_about_a_picture_that_is_no_longer_wanted_is_over() {
    let mut stage = camera_and_screen();
    assert_eq!(shows(&mut stage, [101, 100]), [undecodable(&stage, AV1)]);
    stage.subscribers[0].spec.sections.pop();
    stage.subscribers[0].open(stage.now, &mut stage.worker);
    assert_eq!(shows(&mut stage, [101, 100]), [decodable(&stage)]);
}

#[test]
fn a_subscriber_that_begins_anew_on_a_connection_has_the_notice_again() {
    let mut stage = stage(&[AV1, Codec::Vp8], &[Codec::Vp8]);
    send(&mut stage, 100, &AV1_KEY);
    assert_eq!(reports(&mut stage), [undecodable(&stage, AV1)]);
    let section = video_of(&[Codec::Vp8], false, 0x2_0020);
    let own = DtlsIdentity::generate().unwrap();
    let mut again = Client::new(2, Some(1), vec![section], &stage.identity, &own);
    again.spec.transports[0].local_ufrag = "another".to_owned();
    again.connect(stage.now, &mut stage.worker);
    stage.subscribers[0] = again;
    assert_eq!(reports(&mut stage), [decodable(&stage)]);
    send(&mut stage, 100, &AV1_KEY);
    assert_eq!(reports(&mut stage), [undecodable(&stage, AV1)]);
    send(&mut stage, 101, &vp8(true, 1, 100));
    assert_eq!(reports(&mut stage), [decodable(&stage)]);
}

#[test]
fn a_publisher_that_changes_its_format_with_each_packet_makes_no_flood_of_reports() {
    let mut stage = stage(&[AV1, Codec::Vp9 { profile: 0 }, Codec::Vp8], &[Codec::Vp8]);
    let mut reported = 0;
    for at in 0..90_u16 {
        let payload_type = 100 + (at % 3) as u8;
        let packet = rtp(payload_type, true, at, u32::from(at) * 9_000, VIDEO_SSRC, &AV1_KEY);
        stage.publish_packet(&packet);
        stage.pass(Duration::from_millis(100));
        reported += reports(&mut stage).len();
    }
    assert!((1..=2).contains(&reported), "{reported}");
}

#[test]
fn chromiums_baseline_reaches_a_decoder_of_constrained_baseline() {
    let baseline = h264(Profile::Baseline, 1);
    for (decoder, expected) in [
        (h264(Profile::Baseline, 1), 10),
        (h264(Profile::ConstrainedBaseline, 1), 10),
        (h264(Profile::Main, 1), 10),
        (h264(Profile::High, 1), 10),
        (h264(Profile::ConstrainedBaseline, 0), 0),
        (Codec::Vp8, 0),
    ] {
        let mut stage = stage(&[baseline], &[decoder]);
        assert_eq!(send(&mut stage, 100, &IDR), expected, "{decoder}");
        let reported = reports(&mut stage);
        let expected = if expected == 0 {
            vec![undecodable(&stage, baseline)]
        } else {
            vec![]
        };
        assert_eq!(reported, expected, "{decoder}");
    }
}

#[test]
fn profiles_of_each_codec_are_reported_where_they_are_not_decoded() {
    let (vp9, h265, av1) = (
        |profile| Codec::Vp9 { profile },
        |profile, tier| Codec::H265 { profile, tier },
        |profile, tier| Codec::Av1 { profile, tier },
    );
    for (published, decoded, carried) in [
        (vp9(0), vp9(0), true),
        (vp9(2), vp9(0), false),
        (h265(1, 0), h265(2, 0), true),
        (h265(2, 0), h265(1, 0), false),
        (h265(1, 1), h265(1, 0), false),
        (av1(0, 0), av1(1, 0), true),
        (av1(1, 0), av1(0, 0), false),
        (av1(0, 1), av1(0, 0), false),
        (h264(Profile::High, 1), h264(Profile::ConstrainedBaseline, 1), false),
        (h264(Profile::ConstrainedBaseline, 1), h264(Profile::High, 1), true),
        (
            h264(Profile::ConstrainedBaseline, 0),
            h264(Profile::ConstrainedBaseline, 1),
            true,
        ),
    ] {
        let mut stage = stage(&[published], &[decoded]);
        send(&mut stage, 100, &IDR);
        let expected = if carried {
            vec![]
        } else {
            vec![undecodable(&stage, published)]
        };
        assert_eq!(reports(&mut stage), expected, "{published} for {decoded}");
    }
}

#[test]
fn red_around_opus_is_not_undecodable_to_a_decoder_of_opus_but_pcma_is() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let audio = |codecs: &[(u8, Codec)], receive, ssrc: u32| {
        let mut section = section("0", codec(AUDIO_PT, None, Codec::Opus), receive, 0x3000, ssrc);
        section.codecs = codecs
            .iter()
            .map(|&(number, known)| codec(number, None, known))
            .collect();
        section
    };
    let up = audio(
        &[(63, Codec::Red), (AUDIO_PT, Codec::Opus), (8, Codec::Pcma)],
        true,
        0x9000,
    );
    let down = audio(&[(AUDIO_PT, Codec::Opus)], false, 0x2_0000);
    let certificate = || DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(1, None, vec![up], &identity, &certificate());
    let mut subscriber = Client::new(2, Some(1), vec![down], &identity, &certificate());
    publisher.connect(now, &mut worker);
    subscriber.connect(now, &mut worker);
    events(&mut worker);
    let mut now = now;
    let mut sends = |payload_type: u8, sequence: u16| {
        let packet = rtp(payload_type, false, sequence, 9, 0x3000, &[AUDIO_PT, b'n', b'e', b'w']);
        exchange(
            now,
            &mut worker,
            publisher.address,
            &publisher.seal(&packet, u64::from(sequence)),
        );
        now += Duration::from_millis(500);
        run_until(&mut worker, now);
        let reports = events(&mut worker).into_iter();
        reports
            .filter(|event| !matches!(event, MediaEvent::TrackStarted { .. }))
            .collect::<Vec<_>>()
    };
    assert_eq!(sends(63, 1), []);
    let (peer, publisher, kind) = (subscriber.spec.peer, PUBLISHER, Kind::Audio);
    let undecodable = MediaEvent::Undecodable {
        peer,
        publisher,
        kind,
        codec: Codec::Pcma,
    };
    assert_eq!(sends(8, 2), [undecodable]);
    assert_eq!(sends(AUDIO_PT, 3), [MediaEvent::Decodable { peer, publisher, kind }]);
}

/// A minute of a publisher that answers each request with a key frame, with a subscriber that may ask each second. Returns how
/// often the publisher was asked.
fn requests_in_a_minute(stage: &mut Stage, subscriber_requests: bool) -> u64 {
    let before = stage.worker.stats().key_frame_requests_sent;
    let mut answered = 0;
    for tenth in 0..600 {
        let sequence = stage.sequence;
        stage.sequence += 1;
        let requested = stage.worker.stats().key_frame_requests_sent - before;
        let payload: &[u8] = if requested > answered {
            &AV1_KEY
        } else {
            &[0x10, 0x32, 0, 0]
        };
        answered = requested;
        let packet = rtp(100, true, sequence, u32::from(sequence) * 9_000, VIDEO_SSRC, payload);
        stage.publish_packet(&packet);
        if tenth % 10 == 0 {
            let subscriber = &mut stage.subscribers[0];
            let mut datagrams = vec![subscriber.check()];
            if subscriber_requests {
                let mut compound = Vec::new();
                rtcp::write_receiver_report(&mut compound, 7, &[]);
                rtcp::write_pli(&mut compound, 7, subscriber.spec.sections[0].local_ssrc);
                datagrams.push(subscriber.seal_rtcp(&compound));
            }
            for datagram in datagrams {
                subscriber.deliver(stage.now, &mut stage.worker, &datagram);
            }
        }
        stage.pass(Duration::from_millis(100));
    }
    stage.worker.stats().key_frame_requests_sent - before
}

#[test]
fn no_key_frames_are_asked_for_in_a_format_that_its_only_subscriber_cannot_decode() {
    for subscriber_requests in [false, true] {
        let mut stage = stage(&[AV1, Codec::Vp8], &[Codec::Vp8]);
        // Before the first packet nobody knows in which of the formats it will be.
        stage.pass(Duration::from_secs(1));
        let requested = requests_in_a_minute(&mut stage, subscriber_requests);
        assert_eq!(reports(&mut stage), [undecodable(&stage, AV1)]);
        assert!(requested <= 1, "{requested}, subscriber asks: {subscriber_requests}");

        // A format that it can decode comes, but its key frame was lost: now it is requested.
        let before = stage.worker.stats().key_frame_requests_sent;
        let sequence = stage.sequence;
        stage.sequence += 1;
        let packet = rtp(101, true, sequence, 9, VIDEO_SSRC, &vp8(false, 1, 100));
        stage.publish_packet(&packet);
        stage.pass(Duration::from_millis(200));
        assert_eq!(stage.worker.stats().key_frame_requests_sent, before + 1);
        assert_eq!(send(&mut stage, 101, &vp8(true, 2, 100)), 10);
    }
}
