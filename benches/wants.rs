//! What it costs to give each viewer what they want of videos: a worker that divides one connection's bandwidth among its videos,
//! and the rules that settle which videos are sent to whom.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its results, and panics if there are none"
)]

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/media_client.rs"]
mod media_client;
#[path = "../tests/support/transport_feedback.rs"]
mod transport_feedback;

use std::time::{Duration, Instant};

use media_client::{Client, VIDEO_PT, VIDEO_RTX_PT, codec, down, rtp, run_until, section, vp8, worker};
use patchbay::domain::{
    Claim, Command, Effect, Heights, Limits, Offer, Person, RoomKind, Rules, Stay, UserFeed, VideoWants,
};
use patchbay::ids::{Feed, FeedRef, ParticipantId, PeerId, SessionId, Turn};
use patchbay::media::codec::{Codec, Kind};
use patchbay::media::description::Description;
use patchbay::media::messages::MediaCommand;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;
use patchbay::media::session::RemoteSsrc;
use patchbay::media::worker::{Datagram, Worker};
use patchbay::video::Want;
use transport_feedback::feedback;

/// Measurements of each kind; their median is printed.
const ROUNDS: usize = 201;

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

fn main() {
    println!("µs, median of {ROUNDS} (min-max)");
    for videos in [1, 9, 25] {
        division(videos, false);
        division(videos, true);
    }
    for videos in [25, 200, 1_000] {
        settling(videos);
    }
    for people in [10, 50, 100] {
        speaking(people);
    }
}

/// Prints the time that each call of `work` takes.
fn row(name: &str, mut work: impl FnMut(usize) -> Duration) {
    let mut values: Vec<f64> = (0..ROUNDS)
        .map(|round| work(round).as_nanos() as f64 / 1_000.0)
        .collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[0], values[ROUNDS - 1]);
    println!("{name:>78}  {:>9.1} ({low:.1}-{high:.1})", values[ROUNDS / 2]);
}

/// A worker hears what a viewer wants of each of their videos, looks at each, divides the bandwidth, and plans its next visit.
fn division(videos: u64, is_narrow: bool) {
    let mut gallery = Gallery::new(videos, is_narrow);
    gallery.run(3_000);
    let path = if is_narrow {
        "a path that is estimated"
    } else {
        "a free path"
    };
    row(
        &format!("wants of {videos} videos of three layers, divided, {path}"),
        |round| {
            // The same again changes nothing but is divided all the same; people look at others now and then.
            let height = if round.is_multiple_of(10) { 180 } else { 360 };
            gallery.want(height)
        },
    );
}

/// Height of each layer, and bytes of its pictures.
const LAYERS: [(u16, usize); 3] = [(180, 300), (360, 800), (720, 1_150)];
const NUMBER_ID: u8 = 3;

/// Publishers of three layers each, and a viewer of all of them.
struct Gallery {
    now: Instant,
    began: Instant,
    worker: Worker,
    publishers: Vec<Client>,
    viewer: Client,
    sequence: u64,
    /// Whether the viewer says what comes.
    says: bool,
    told: u16,
    reports: u8,
}

fn ssrc_of(publisher: u64, layer: usize) -> u32 {
    0x10_0000 + 0x100 * publisher as u32 + 0x10 * layer as u32
}

impl Gallery {
    fn new(videos: u64, says: bool) -> Gallery {
        let now = clock();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().expect("a certificate can be made");
        let video = |mid: &str, receive, ssrc| {
            let codec = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
            section(mid, codec, receive, 0x1000, ssrc)
        };
        let publishers = (1..=videos).map(|number| {
            let mut section = video("0", true, 0x9000);
            let layers = (0..LAYERS.len()).map(|layer| ssrc_of(number, layer));
            let announced = layers.map(|ssrc| RemoteSsrc {
                ssrc,
                rtx: Some(ssrc + 1),
            });
            section.remote_ssrcs = announced.collect();
            let mut publisher = Client::new(number, None, vec![section], &identity, &own);
            publisher.connect(now, &mut worker);
            publisher
        });
        let publishers = publishers.collect();
        let sections = (1..=videos).map(|number| {
            let mut section = video(&number.to_string(), false, 0x80_0000 + 0x10 * number as u32);
            section.number_id = Some(NUMBER_ID);
            section
        });
        let mut viewer = Client::new(1_000, Some(1), sections.collect(), &identity, &own);
        for (number, section) in (1..).zip(&mut viewer.spec.sections) {
            section.down = Some(down(number, Kind::Video));
        }
        viewer.connect(now, &mut worker);
        Gallery {
            now,
            began: now,
            worker,
            publishers,
            viewer,
            sequence: 0,
            says,
            told: 0,
            reports: 0,
        }
    }

    /// Lets everybody send a picture of each layer 30 times a second.
    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            let numbered = self.pictures();
            if self.says && numbered > 0 {
                self.tell(numbered);
            }
            self.now += Duration::from_millis(33);
            run_until(&mut self.worker, self.now);
            while self.worker.poll_event().is_some() {}
        }
    }

    /// Returns the number of packets that went to the viewer.
    fn pictures(&mut self) -> usize {
        let mut buffer = [0; 2_048];
        let mut sent = 0;
        self.sequence += 1;
        for (number, publisher) in (1..).zip(&self.publishers) {
            for (layer, (height, bytes)) in LAYERS.into_iter().enumerate() {
                let mut payload = vp8(true, self.sequence as u16 & 0x7fff, bytes);
                // Start code and dimensions of a key frame (RFC 6386 §9.1), behind the descriptor and the frame tag.
                payload[7..10].copy_from_slice(&[0x9d, 0x01, 0x2a]);
                payload[10..12].copy_from_slice(&(height / 9 * 16).to_le_bytes());
                payload[12..14].copy_from_slice(&height.to_le_bytes());
                let (sequence, timestamp) = (self.sequence as u16, self.sequence as u32 * 2_970);
                let packet = rtp(VIDEO_PT, true, sequence, timestamp, ssrc_of(number, layer), &payload);
                let sealed = publisher.seal(&packet, self.sequence);
                buffer[..sealed.len()].copy_from_slice(&sealed);
                let datagram = Datagram {
                    from: publisher.address,
                    to: None,
                    start: 0,
                    len: sealed.len(),
                };
                self.worker.handle_datagrams(self.now, &mut buffer, &[datagram]);
                while !self.worker.forward(self.now, &buffer) {
                    sent += take(&mut self.worker, &self.viewer);
                }
                sent += take(&mut self.worker, &self.viewer);
            }
        }
        sent
    }

    /// The viewer says that so many packets came.
    fn tell(&mut self, packets: usize) {
        let micros = (self.now - self.began).as_micros() as u64 + 20_000;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        compound.extend_from_slice(&feedback(self.told, &vec![Some(micros); packets], self.reports));
        self.told = self.told.wrapping_add(packets as u16);
        self.reports = self.reports.wrapping_add(1);
        let sealed = self.viewer.seal_rtcp(&compound);
        self.viewer.deliver(self.now, &mut self.worker, &sealed);
    }

    fn want(&mut self, height: u16) -> Duration {
        let want = Want {
            height: Some(height),
            on_stage: false,
        };
        let feeds = (1..).zip(&self.publishers).map(|(number, _)| ParticipantId(number));
        let wants: Vec<(FeedRef, Want)> = feeds.map(|id| (FeedRef::camera(id), want)).collect();
        let peer = self.viewer.spec.peer;
        let start = clock();
        self.worker.handle_command(self.now, MediaCommand::Want { peer, wants });
        let took = start.elapsed();
        while self.worker.poll_event().is_some() {}
        self.run(33);
        took
    }
}

/// Takes what the worker sends. Returns the number of RTP packets to the viewer.
fn take(worker: &mut Worker, viewer: &Client) -> usize {
    let sends = worker.egress().sends();
    let to_viewer = sends.filter(|(send, _)| send.path.remote.address == viewer.address);
    let packets = to_viewer.flat_map(|(send, bytes)| bytes.chunks(send.segment));
    let count = packets.filter(|packet| !matches!(packet[1], 192..=223)).count();
    worker.egress().clear();
    count
}

/// One viewer of so many videos says what they want, and somebody speaks. Nobody else has said anything.
fn settling(videos: u64) {
    let mut meeting = Meeting::new(videos + 1, 1);
    for last_n in [u64::MAX, videos / 2] {
        let which = if last_n < videos { "half" } else { "all" };
        row(
            &format!("a viewer of {videos} videos wants {which} of them, in another size"),
            |round| {
                let wants = wants(last_n, 180 + 180 * (round % 2) as u16);
                meeting.want(1, wants)
            },
        );
        row(
            &format!("somebody speaks, whom a viewer of {videos} videos watches who wants {which}"),
            |round| meeting.speak(2 + round as u64 % videos),
        );
    }
}

/// Everybody watches everybody else, and wants half of them in some size; somebody speaks.
fn speaking(people: u64) {
    let mut meeting = Meeting::new(people, people);
    for session in 1..=people {
        meeting.want(session, wants(people / 2, 180));
    }
    row(
        &format!("somebody speaks where {people} people watch one another and want half"),
        |round| meeting.speak(1 + round as u64 % people),
    );
}

fn wants(last_n: u64, height: u16) -> VideoWants {
    VideoWants {
        last_n: usize::try_from(last_n).expect("a small number"),
        cameras: Heights {
            of_others: Some(height),
            ..Heights::default()
        },
        ..VideoWants::default()
    }
}

/// A room whose people all publish.
struct Meeting {
    now: Instant,
    rules: Rules,
    publishing: Vec<PeerId>,
}

impl Meeting {
    /// A room of so many people, of whom the first `viewers` watch all others.
    fn new(people: u64, viewers: u64) -> Meeting {
        let limits = Limits {
            participants_per_room: 10_000,
            peers_per_participant: 10_000,
            peers: 1_000_000,
            unconnected_peers: 1_000_000,
            address_share_percent: 100,
            ..Limits::default()
        };
        let mut meeting = Meeting {
            now: clock(),
            rules: Rules::new(limits),
            publishing: Vec::new(),
        };
        for session in 1..=people {
            let join = Command::Join {
                turn: Turn(0),
                kind: RoomKind::Group,
                room: "r".into(),
                person: Person::unnamed(name(session).as_str().into()),
                claim: Claim::Unproven,
                stay: Stay::default(),
                connects: false,
            };
            meeting.handle(session, join);
            let peer = meeting.offer(session, session);
            meeting.rules.peer_connected(peer);
            meeting.publishing.push(peer);
        }
        for viewer in 1..=viewers {
            for other in (1..=people).filter(|other| *other != viewer) {
                let peer = meeting.offer(viewer, other);
                meeting.rules.peer_connected(peer);
            }
        }
        meeting
    }

    fn handle(&mut self, session: u64, command: Command) -> Vec<Effect> {
        self.rules
            .handle(self.now, SessionId(session), command)
            .expect("it is allowed")
    }

    /// Offers to publish, or to watch somebody.
    fn offer(&mut self, session: u64, subject: u64) -> PeerId {
        let text =
            format!("o=- {session}{subject} 1\r\na=fingerprint:{session}\r\na=ice-ufrag:{session}-{subject}\r\n");
        let offer = Offer {
            description: Description::read(&text),
            tag: None,
        };
        let subject = UserFeed {
            user: name(subject).as_str().into(),
            feed: Feed::Camera,
        };
        let effects = self.handle(session, Command::Offer { subject, offer });
        self.rules.offer_answered(SessionId(session));
        let negotiated = effects.into_iter().find_map(|effect| match effect {
            Effect::Negotiate(negotiations) => Some(negotiations[0].peer),
            _ => None,
        });
        negotiated.expect("the offer is to be answered")
    }

    fn want(&mut self, session: u64, wants: VideoWants) -> Duration {
        let command = Command::Want(Box::new(wants));
        let start = clock();
        let effects = self.handle(session, command);
        let took = start.elapsed();
        drop(effects);
        took
    }

    fn speak(&mut self, session: u64) -> Duration {
        let peer = self.publishing[session as usize - 1];
        let start = clock();
        let effects = self.rules.speech_changed(self.now, peer, true);
        let took = start.elapsed();
        drop(effects);
        self.rules.speech_changed(self.now, peer, false);
        took
    }
}

fn name(session: u64) -> String {
    format!("somebody-{session}")
}
