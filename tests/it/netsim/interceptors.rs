//! Two things that webrtc-rs leaves out of a client and that other clients do: handing key frame requests to the encoder,
//! and taking repaired packets for those that they repeat.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Buf;
use rtc::interceptor::{Attribute, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// The place next to the application: everything else has seen the feedback by then.
pub const KEY_FRAME_REQUESTS_SLOT: usize = 14_000;
/// The place before the part that notices missing packets: a repaired one is not missing.
pub const REPAIRS_SLOT: usize = 6_500;

pub fn is_key_frame_request(packet: &dyn rtcp::Packet) -> bool {
    let packet = packet.as_any();
    packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>()
}

/// Hands key frame requests to the application; webrtc-rs keeps all feedback to itself otherwise.
#[derive(Default)]
pub struct KeyFrameRequests {
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

/// RFC 4588 §4: turns packets of a repair stream back into those of the stream that they repair.
#[derive(Default)]
pub struct Repairs {
    /// The repaired stream's SSRC and payload type, by the repair stream's SSRC.
    repaired: BTreeMap<u32, (u32, u8)>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl KeyFrameRequests {
    fn pass(&mut self, mut packet: TaggedPacket) {
        if let Packet::Rtcp(all) = &mut packet.message.packet {
            all.retain(|one| is_key_frame_request(one.as_ref()));
            packet.message.add(Attribute::DeliverToApplication);
        }
        self.reads.push_back(packet);
    }
}

impl Repairs {
    fn pass(&mut self, mut packet: TaggedPacket) {
        if let Packet::Rtp(rtp) = &mut packet.message.packet
            && let Some((ssrc, payload_type)) = self.repaired.get(&rtp.header.ssrc)
        {
            if rtp.payload.len() < 2 {
                return;
            }
            rtp.header.sequence_number = rtp.payload.get_u16();
            (rtp.header.ssrc, rtp.header.payload_type) = (*ssrc, *payload_type);
        }
        self.reads.push_back(packet);
    }
}

/// Both look at incoming packets, and let outgoing ones pass.
macro_rules! reads_only {
    ($interceptor:ty) => {
        impl Protocol<TaggedPacket, TaggedPacket, ()> for $interceptor {
            type Rout = TaggedPacket;
            type Wout = TaggedPacket;
            type Eout = ();
            type Error = Error;
            type Time = Instant;

            fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
                self.pass(packet);
                Ok(())
            }

            fn poll_read(&mut self) -> Option<TaggedPacket> {
                self.reads.pop_front()
            }

            fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
                self.writes.push_back(packet);
                Ok(())
            }

            fn poll_write(&mut self) -> Option<TaggedPacket> {
                self.writes.pop_front()
            }
        }
    };
}

reads_only!(KeyFrameRequests);
reads_only!(Repairs);

impl Interceptor for KeyFrameRequests {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

impl Interceptor for Repairs {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        if let Some(repair) = info.ssrc_rtx {
            self.repaired.insert(repair, (info.ssrc, info.payload_type));
        }
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.repaired.retain(|_, (ssrc, _)| *ssrc != info.ssrc);
    }
}
