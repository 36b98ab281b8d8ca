//! A client of the engine: a webrtc-rs connection without sockets, which is given the time like the engine itself.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::interceptors::{KEY_FRAME_REQUESTS_SLOT, KeyFrameRequests, REPAIRS_SLOT, Repairs, is_key_frame_request};
use super::media::{Camera, Microphone};
use super::network::Datagram;

/// webrtc-rs's payload types of its default codecs.
const OPUS_PAYLOAD_TYPE: u8 = 111;
const VP8_PAYLOAD_TYPE: u8 = 96;

/// A received media packet, as the application of this client sees it: a repaired one has the numbers of its own
/// stream.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub header: rtc::rtp::Header,
    pub payload: bytes::Bytes,
}

pub struct Client {
    pub name: &'static str,
    pub address: SocketAddr,
    connection: RTCPeerConnection,
    pub camera: Option<(RTCRtpSenderId, Camera)>,
    pub microphone: Option<(RTCRtpSenderId, Microphone)>,
    pub video: Vec<Received>,
    pub audio: Vec<Received>,
    pub key_frame_requests: Vec<Instant>,
    pub connected_at: Option<Instant>,
    pub state: RTCPeerConnectionState,
    sent_key_exchange: bool,
}

impl Client {
    /// Sends one camera and one microphone.
    pub fn publisher(now: Instant, name: &'static str, address: SocketAddr, first_ssrc: u32) -> Client {
        let mut client = Client::new(now, name, address);
        let camera = Camera::new(first_ssrc, VP8_PAYLOAD_TYPE);
        let microphone = Microphone::new(first_ssrc + 1, OPUS_PAYLOAD_TYPE);
        let audio = client.add_track(RtpCodecKind::Audio, "audio/opus", 48_000, 2, microphone.ssrc);
        let video = client.add_track(RtpCodecKind::Video, "video/VP8", 90_000, 0, camera.ssrc);
        client.microphone = Some((audio, microphone));
        client.camera = Some((video, camera));
        client
    }

    /// Receives one track of each kind.
    pub fn subscriber(now: Instant, name: &'static str, address: SocketAddr) -> Client {
        let mut client = Client::new(now, name, address);
        for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                streams: vec![],
                send_encodings: vec![],
            };
            client.connection.add_transceiver_from_kind(kind, Some(init)).unwrap();
        }
        client
    }

    fn new(now: Instant, name: &'static str, address: SocketAddr) -> Client {
        let mut media = MediaEngine::default();
        media.register_default_codecs().unwrap();
        let registry = register_default_interceptors(Registry::new(), &mut media).unwrap();
        let registry = registry.with(REPAIRS_SLOT.into(), Repairs::default());
        let registry = registry.with(KEY_FRAME_REQUESTS_SLOT.into(), KeyFrameRequests::default());
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .build(now)
            .unwrap();
        let base_config = CandidateConfig {
            network: "udp".to_owned(),
            address: address.ip().to_string(),
            port: address.port(),
            component: 1,
            ..Default::default()
        };
        let candidate = CandidateHostConfig {
            base_config,
            ..Default::default()
        }
        .new_candidate_host()
        .unwrap();
        connection
            .add_local_candidate(RTCIceCandidate::from(&candidate).to_json().unwrap())
            .unwrap();
        Client {
            name,
            address,
            connection,
            camera: None,
            microphone: None,
            video: Vec::new(),
            audio: Vec::new(),
            key_frame_requests: Vec::new(),
            connected_at: None,
            state: RTCPeerConnectionState::New,
            sent_key_exchange: false,
        }
    }

    fn add_track(&mut self, kind: RtpCodecKind, mime: &str, clock: u32, channels: u16, ssrc: u32) -> RTCRtpSenderId {
        let codec = RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate: clock,
            channels,
            ..Default::default()
        };
        let coding = RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            ..Default::default()
        };
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: coding,
            codec,
            ..Default::default()
        };
        let (stream, track) = (format!("{}-stream", self.name), format!("{}-{kind}", self.name));
        let track = MediaStreamTrack::new(stream, track.clone(), track, kind, vec![encoding]);
        self.connection.add_track(track).unwrap()
    }

    pub fn offer(&mut self, now: Instant) -> String {
        let offer = self.connection.create_offer(None).unwrap();
        self.connection.set_local_description(now, offer).unwrap();
        self.connection.local_description().unwrap().sdp
    }

    pub fn restart_ice(&mut self) {
        self.connection.restart_ice();
    }

    pub fn accept(&mut self, now: Instant, answer: &str) {
        let answer = RTCSessionDescription::answer(answer.to_owned()).unwrap();
        self.connection.set_remote_description(now, answer).unwrap();
    }

    pub fn is_connected(&self) -> bool {
        self.state == RTCPeerConnectionState::Connected
    }

    pub fn send_video_frame(&mut self, now: Instant) {
        let Some((sender, camera)) = &mut self.camera else {
            return;
        };
        for packet in camera.next_frame() {
            self.connection
                .rtp_sender(*sender)
                .unwrap()
                .write_rtp(now, packet)
                .unwrap();
        }
    }

    pub fn send_audio_packet(&mut self, now: Instant) {
        let Some((sender, microphone)) = &mut self.microphone else {
            return;
        };
        let packet = microphone.next_packet();
        self.connection
            .rtp_sender(*sender)
            .unwrap()
            .write_rtp(now, packet)
            .unwrap();
    }

    pub fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) {
        // A server that repeats its handshake flight makes webrtc-rs forget its timer, so it never repeats the flight
        // on which it waits. Other clients do not do that, and the engine is what is tested.
        if self.sent_key_exchange && is_plain_handshake(&datagram.bytes) {
            return;
        }
        let transport = TransportContext {
            local_addr: datagram.to,
            peer_addr: datagram.from,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        let message = BytesMut::from(&datagram.bytes[..]);
        // A packet that does not verify is the network's or the engine's doing; the scenario sees that something is
        // missing.
        let _ = self.connection.handle_read(TaggedBytesMut {
            now,
            transport,
            message,
        });
        self.read(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = self.connection.handle_timeout(now);
        self.read(now);
    }

    pub fn deadline(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    pub fn next_datagram(&mut self) -> Option<Datagram> {
        let sent = self.connection.poll_write()?;
        const CLIENT_HELLO: u8 = 1;
        self.sent_key_exchange |= is_plain_handshake(&sent.message) && sent.message.get(13) != Some(&CLIENT_HELLO);
        Some(Datagram {
            from: self.address,
            to: sent.transport.peer_addr,
            bytes: sent.message.to_vec(),
        })
    }

    fn read(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            if let RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) = event {
                self.state = state;
                if state == RTCPeerConnectionState::Connected {
                    self.connected_at.get_or_insert(now);
                }
            }
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.connection.poll_read() {
            match message {
                RTCMessage::RtpPacket(_, packet) => self.keep(now, packet),
                RTCMessage::RtcpPacket(_, packets) => {
                    let asks = packets.iter().any(|packet| is_key_frame_request(packet.as_ref()));
                    if let (true, Some((_, camera))) = (asks, &mut self.camera) {
                        camera.key_frame_wanted = true;
                        self.key_frame_requests.push(now);
                    }
                }
                _ => {}
            }
        }
    }

    fn keep(&mut self, at: Instant, packet: rtc::rtp::Packet) {
        let is_audio = packet.header.payload_type == OPUS_PAYLOAD_TYPE;
        let kept = if is_audio { &mut self.audio } else { &mut self.video };
        kept.push(Received {
            at,
            header: packet.header,
            payload: packet.payload,
        });
    }
}

/// RFC 6347 §4.1: a record of type handshake in epoch 0, which is not encrypted.
fn is_plain_handshake(datagram: &[u8]) -> bool {
    datagram.first() == Some(&22) && datagram.get(3..5) == Some(&[0, 0])
}
