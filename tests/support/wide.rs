//! A connection that publishes many tracks of one kind, and another that gets them all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use patchbay::media::codec::Codec;
use patchbay::media::messages::MediaCommand;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;
use patchbay::media::session::{Feedback, MediaSection};
use patchbay::media::worker::Worker;

use super::media_client::{
    AUDIO_PT, Client, VIDEO_PT, VIDEO_RTX_PT, codec, drain, exchange, rtp, run_until, section, vp8,
};

pub type Sent = Vec<(SocketAddr, Vec<u8>)>;

pub struct Wide {
    pub now: Instant,
    pub worker: Worker,
    pub publisher: Client,
    pub subscriber: Client,
    codec: Codec,
    tracks: u32,
}

pub fn source_ssrc(track: u32) -> u32 {
    0x1_0000 + 4 * track
}

pub fn copy_ssrc(track: u32) -> u32 {
    0x2_0000 + 4 * track
}

/// No feedback at all.
pub const NOTHING: Feedback = Feedback {
    nack: false,
    pli: false,
    fir: false,
    transport_cc: false,
    remb: false,
    rrtr: false,
};

/// Sections of one connection that publishes (`receive`) or subscribes.
pub fn sections(tracks: u32, codec: Codec, feedback: Feedback, receive: bool) -> Vec<MediaSection> {
    let one = |track: u32| {
        let (payload_type, rtx) = match codec {
            Codec::Opus => (AUDIO_PT, None),
            _ => (VIDEO_PT, Some(VIDEO_RTX_PT)),
        };
        let mut codec = self::codec(payload_type, rtx, codec);
        codec.feedback = feedback;
        let local = if receive {
            0x9_0000 + 4 * track
        } else {
            copy_ssrc(track)
        };
        section(&track.to_string(), codec, receive, source_ssrc(track), local)
    };
    (0..tracks).map(one).collect()
}

impl Wide {
    pub fn on(
        now: Instant,
        mut worker: Worker,
        identity: &DtlsIdentity,
        tracks: u32,
        codec: Codec,
        feedback: Feedback,
    ) -> Wide {
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, sections(tracks, codec, feedback, true), identity, &own);
        let mut subscriber = Client::new(2, Some(1), sections(tracks, codec, feedback, false), identity, &own);
        publisher.connect(now, &mut worker);
        subscriber.connect(now, &mut worker);
        Wide {
            now,
            worker,
            publisher,
            subscriber,
            codec,
            tracks,
        }
    }

    pub fn clock_rate(&self) -> u32 {
        self.codec.clock_rate()
    }

    /// One packet of every track.
    pub fn publish(&mut self, sequence: u16, timestamp: u32, len: usize) {
        for track in 0..self.tracks {
            let (payload_type, payload) = match self.codec {
                Codec::Opus => (AUDIO_PT, vec![7; len]),
                _ => (VIDEO_PT, vp8(true, sequence, len)),
            };
            let packet = rtp(payload_type, true, sequence, timestamp, source_ssrc(track), &payload);
            let sealed = self.publisher.seal(&packet, u64::from(sequence));
            exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        }
    }

    /// Reports the publisher's clock of every track: `seconds` of its time, and the RTP time that
    /// belongs to it.
    pub fn report(&mut self, seconds: u64, timestamp: u32) {
        for track in 0..self.tracks {
            let info = rtcp::SenderInfo {
                ssrc: source_ssrc(track),
                ntp: (1_000 + seconds) << 32,
                rtp: timestamp,
                packets: 1,
                octets: 1,
            };
            let mut compound = Vec::new();
            rtcp::write_sender_report(&mut compound, &info, "publisher");
            let sealed = self.publisher.seal_rtcp(&compound);
            exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        }
    }

    pub fn pass(&mut self, time: Duration) -> Sent {
        self.now += time;
        run_until(&mut self.worker, self.now)
    }

    pub fn leave(&mut self) {
        for peer in [self.publisher.spec.peer, self.subscriber.spec.peer] {
            self.worker.handle_command(self.now, MediaCommand::Close(peer));
        }
        drain(&mut self.worker, &mut Vec::new());
    }
}
