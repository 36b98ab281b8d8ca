//! One WebRTC connection of a client: the `webrtc` crate with real sockets on loopback.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfiguration;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionState,
};
use webrtc::runtime::default_runtime;

/// The crate's payload types of its default codecs.
pub const OPUS_PAYLOAD_TYPE: u8 = 111;
pub const VP8_PAYLOAD_TYPE: u8 = 96;

/// A time longer than any step takes on a busy machine; a step that takes this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(15);

pub struct Peer {
    connection: Arc<dyn PeerConnection>,
    state: watch::Receiver<RTCPeerConnectionState>,
    gathered: watch::Receiver<bool>,
    received: mpsc::UnboundedReceiver<rtp::Packet>,
    /// SSRC and sequence number of the packets that [`Peer::packet`] has seen.
    played: HashSet<(u32, u16)>,
}

/// A published track, written packet by packet.
pub struct Track {
    pub ssrc: u32,
    track: Arc<TrackLocalStaticRTP>,
}

struct Events {
    state: watch::Sender<RTCPeerConnectionState>,
    gathered: watch::Sender<bool>,
    received: mpsc::UnboundedSender<rtp::Packet>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Events {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathered.send_replace(state == RTCIceGatheringState::Complete);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let received = self.received.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let _ = received.send(packet);
                }
            }
        });
    }
}

impl Peer {
    pub async fn new() -> Peer {
        Peer::configured(RTCConfiguration::default()).await
    }

    pub async fn configured(configuration: RTCConfiguration) -> Peer {
        let mut media = MediaEngine::default();
        media.register_default_codecs().unwrap();
        let level = RTCRtpHeaderExtensionCapability {
            uri: "urn:ietf:params:rtp-hdrext:ssrc-audio-level".to_owned(),
        };
        media
            .register_header_extension(level, RtpCodecKind::Audio, None)
            .unwrap();
        let registry = register_default_interceptors(Registry::new(), &mut media).unwrap();
        let (state_sender, state) = watch::channel(RTCPeerConnectionState::New);
        let (gathered_sender, gathered) = watch::channel(false);
        let (received_sender, received) = mpsc::unbounded_channel();
        let events = Events {
            state: state_sender,
            gathered: gathered_sender,
            received: received_sender,
        };
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            // A host with nothing but loopback has no device for multicast.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .build();
        let connection = PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .with_setting_engine(settings)
            .with_handler(Arc::new(events))
            .with_runtime(default_runtime().unwrap())
            .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
            .build()
            .await
            .unwrap();
        Peer {
            connection: Arc::new(connection),
            state,
            gathered,
            received,
            played: HashSet::new(),
        }
    }

    pub async fn add_audio(&self, ssrc: u32) -> Track {
        self.add_track(RtpCodecKind::Audio, "audio/opus", 48_000, 2, ssrc).await
    }

    pub async fn add_video(&self, ssrc: u32) -> Track {
        self.add_track(RtpCodecKind::Video, "video/VP8", 90_000, 0, ssrc).await
    }

    async fn add_track(&self, kind: RtpCodecKind, mime: &str, clock_rate: u32, channels: u16, ssrc: u32) -> Track {
        let codec = RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate,
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
        let track = MediaStreamTrack::new(
            "stream".into(),
            kind.to_string(),
            kind.to_string(),
            kind,
            vec![encoding],
        );
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        self.connection
            .add_track(track.clone() as Arc<dyn TrackLocal>)
            .await
            .unwrap();
        Track { ssrc, track }
    }

    /// Asks for one track of each kind.
    pub async fn receive(&self) {
        self.receive_all([RtpCodecKind::Audio, RtpCodecKind::Video]).await;
    }

    /// Asks for so many tracks of video.
    pub async fn receive_videos(&self, count: usize) {
        self.receive_all(std::iter::repeat_n(RtpCodecKind::Video, count)).await;
    }

    /// Asks for so many tracks of audio.
    pub async fn receive_audios(&self, count: usize) {
        self.receive_all(std::iter::repeat_n(RtpCodecKind::Audio, count)).await;
    }

    async fn receive_all(&self, kinds: impl IntoIterator<Item = RtpCodecKind>) {
        for kind in kinds {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                streams: vec![],
                send_encodings: vec![],
            };
            self.connection
                .add_transceiver_from_kind(kind, Some(init))
                .await
                .unwrap();
        }
    }

    /// An offer with all candidates in it.
    pub async fn offer(&mut self) -> String {
        let offer = self.connection.create_offer(None).await.unwrap();
        self.connection.set_local_description(offer).await.unwrap();
        let complete = self.gathered.wait_for(|complete| *complete);
        tokio::time::timeout(PATIENCE, complete)
            .await
            .expect("candidates are gathered")
            .unwrap();
        self.connection.local_description().await.unwrap().sdp
    }

    pub async fn restart_ice(&self) {
        self.connection.restart_ice().await.unwrap();
    }

    pub async fn accept(&self, answer: &str) {
        let answer = RTCSessionDescription::answer(answer.to_owned()).unwrap();
        self.connection.set_remote_description(answer).await.unwrap();
    }

    pub async fn connected(&mut self) {
        let wanted = RTCPeerConnectionState::Connected;
        let reached = tokio::time::timeout(PATIENCE, self.state.wait_for(|state| *state == wanted))
            .await
            .is_ok();
        let was = *self.state.borrow();
        assert!(reached, "the connection is {was}, not {wanted}");
    }

    pub fn is_connected(&self) -> bool {
        *self.state.borrow() == RTCPeerConnectionState::Connected
    }

    /// The next received packet of a payload type. Others before it are skipped, and so are those that came before: the server sends
    /// packets again to learn what the path carries, and a player passes over them.
    pub async fn packet(&mut self, payload_type: u8) -> rtp::Packet {
        let next = async {
            loop {
                let packet = self.received.recv().await.expect("the connection is there");
                let is_new = self.played.insert((packet.header.ssrc, packet.header.sequence_number));
                if is_new && packet.header.payload_type == payload_type {
                    return packet;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next)
            .await
            .unwrap_or_else(|_| panic!("no packet of type {payload_type} came"))
    }

    /// The next received packet, whatever it is.
    pub async fn any_packet(&mut self) -> rtp::Packet {
        let next = tokio::time::timeout(PATIENCE, self.received.recv()).await;
        next.expect("a packet comes").expect("the connection is there")
    }

    /// Whether nothing is received for so long.
    pub async fn is_silent(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.received.recv()).await.is_err()
    }

    pub async fn close(&self) {
        self.connection.close().await.unwrap();
    }
}

impl Track {
    pub async fn write(&self, payload_type: u8, sequence: u16, timestamp: u32, marker: bool, payload: Bytes) {
        let header = rtp::Header {
            payload_type,
            sequence_number: sequence,
            timestamp,
            marker,
            ..Default::default()
        };
        self.write_with(header, payload).await;
    }

    /// With all that is in a header, but its version and SSRC.
    pub async fn write_with(&self, header: rtp::Header, payload: Bytes) {
        let header = rtp::Header {
            version: 2,
            ssrc: self.ssrc,
            ..header
        };
        self.track.write_rtp(rtp::Packet { header, payload }).await.unwrap();
    }
}

/// The answer with every candidate changed to `port`: a way through somebody else's socket.
pub fn redirect_candidates(answer: &str, to: SocketAddr) -> String {
    let redirect = |line: &str| {
        let mut fields: Vec<&str> = line.split(' ').collect();
        let (address, port) = (to.ip().to_string(), to.port().to_string());
        if line.starts_with("a=candidate:") && fields.len() > 5 {
            (fields[4], fields[5]) = (&address, &port);
        }
        fields.join(" ")
    };
    answer.split("\r\n").map(redirect).collect::<Vec<_>>().join("\r\n")
}
