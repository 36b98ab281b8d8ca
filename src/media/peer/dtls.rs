//! DTLS 1.2 of one connection (RFC 6347, RFC 5764): handshake, fingerprint check, SRTP keys.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::digest;
use bytes::BytesMut;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error as DtlsError;

use super::srtp::Profile;
use crate::media::session::{DtlsRole, Fingerprint, FingerprintHash};

/// The endpoint keys its associations by address. One connection may change address; this one stands for all of them.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// Datagrams of a client's first flight that are kept until its SRTP profiles are known: a ClientHello with
/// post-quantum key shares takes two, and each may be sent twice.
const MAX_HELLO_DATAGRAMS: usize = 8;

/// RFC 5246 §7.4 and RFC 6347 §4.3.2.
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY: u8 = 3;

/// The process's certificate and the configurations made from it, shared by all connections.
#[derive(Clone)]
pub struct DtlsIdentity {
    /// One for each profile of [`Profile::PREFERENCE`]: the library's server follows the client's order of SRTP profiles,
    /// so we let it see only one of ours at a time.
    servers: [Arc<HandshakeConfig>; 3],
    client: Arc<HandshakeConfig>,
    pub fingerprint: [u8; 32],
}

impl DtlsIdentity {
    /// Makes a fresh self-signed ECDSA P-256 certificate.
    pub fn generate() -> Result<DtlsIdentity, DtlsError> {
        DtlsIdentity::generate_offering(&Profile::PREFERENCE)
    }

    /// As [`DtlsIdentity::generate`], but as a client these profiles alone are offered.
    pub fn generate_offering(profiles: &[Profile]) -> Result<DtlsIdentity, DtlsError> {
        let provider = rtc_crypto::default_provider().map_err(|error| DtlsError::Other(error.to_string()))?;
        let certificate = Certificate::generate_self_signed(vec!["patchbay".to_owned()], provider.crypto())?;
        let der = certificate
            .certificate
            .first()
            .map(|der| der.as_ref().to_vec())
            .unwrap_or_default();
        let fingerprint = digest::digest(&digest::SHA256, &der);
        let config = |profiles: Vec<SrtpProtectionProfile>, is_client: bool| {
            ConfigBuilder::default()
                .with_crypto_provider(provider.clone())
                .with_certificates(vec![certificate.clone()])
                .with_srtp_protection_profiles(profiles)
                .with_client_auth(ClientAuthType::RequireAnyClientCert)
                // Certificates are self-signed; the fingerprint in the offer is what vouches for them (RFC 8122).
                .with_insecure_skip_verify(true)
                .build(is_client, Some(PEER))
                .map(Arc::new)
        };
        let [first, second, third] = Profile::PREFERENCE.map(library_profile);
        Ok(DtlsIdentity {
            servers: [
                config(vec![first], false)?,
                config(vec![second], false)?,
                config(vec![third], false)?,
            ],
            client: config(profiles.iter().copied().map(library_profile).collect(), true)?,
            fingerprint: fingerprint.as_ref().try_into().unwrap_or([0; 32]),
        })
    }
}

fn library_profile(profile: Profile) -> SrtpProtectionProfile {
    match profile {
        Profile::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        Profile::AeadAes256Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
        Profile::Aes128CmHmacSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    }
}

/// What a datagram led to.
#[derive(Debug)]
pub enum Progress {
    /// Nothing to tell; there may be something to send.
    Pending,
    /// The handshake is done and the certificate is the right one.
    Established {
        profile: Profile,
        exported: Vec<u8>,
        we_are_client: bool,
    },
    /// The client said goodbye.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The handshake cannot succeed any more.
    Handshake,
    WrongFingerprint,
}

/// The DTLS state of one connection.
pub struct Dtls {
    identity: DtlsIdentity,
    role: DtlsRole,
    fingerprints: Vec<Fingerprint>,
    endpoint: Endpoint,
    /// Which profile of [`Profile::PREFERENCE`] the server side offers now.
    attempt: usize,
    /// The client's first flight so far, to start over with the next profile.
    hello: Vec<Vec<u8>>,
    established: bool,
    outgoing: VecDeque<BytesMut>,
    /// What was sent last, while the handshake runs.
    last_flight: Vec<BytesMut>,
}

impl Dtls {
    /// As a client, the handshake begins with [`Dtls::start`].
    pub fn new(identity: DtlsIdentity, role: DtlsRole, fingerprints: Vec<Fingerprint>) -> Dtls {
        let endpoint = endpoint(match role {
            DtlsRole::Server => Some(identity.servers[0].clone()),
            DtlsRole::Client => None,
        });
        Dtls {
            identity,
            role,
            fingerprints,
            endpoint,
            attempt: 0,
            hello: Vec::new(),
            established: false,
            outgoing: VecDeque::new(),
            last_flight: Vec::new(),
        }
    }

    /// Whether the client is still to prove itself by one of these certificates.
    pub fn expects(&self, fingerprints: &[Fingerprint]) -> bool {
        self.fingerprints == fingerprints
    }

    /// Sends our ClientHello if that is our part and it has not been sent. Call once there is a path.
    pub fn start(&mut self, now: Instant) -> Result<(), Failure> {
        if self.role == DtlsRole::Client && self.endpoint.get_connections_keys().len() == 0 && !self.established {
            let config = self.identity.client.clone();
            self.endpoint
                .connect(now, PEER, config, None)
                .map_err(|_| Failure::Handshake)?;
            self.collect();
        }
        Ok(())
    }

    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Progress, Failure> {
        if self.is_repeat(datagram) {
            // A client that says hello again has not got our answer, or not all of it. Records that it has, it drops as
            // replays. A server that repeats itself waits for our next flight, which has its own timer.
            if self.role == DtlsRole::Server {
                self.outgoing.extend(self.last_flight.iter().cloned());
            }
            return Ok(Progress::Pending);
        }
        let choosing = self.role == DtlsRole::Server && !self.established && self.attempt < Profile::PREFERENCE.len();
        if choosing && self.hello.len() < MAX_HELLO_DATAGRAMS {
            self.hello.push(datagram.to_vec());
        }
        let events = match self.endpoint.read(now, PEER, None, BytesMut::from(datagram)) {
            Err(DtlsError::ErrServerNoMatchingSrtpProfile) => return self.try_next_profile(now),
            // A lone bad datagram is no reason to end anything: anyone on the path can make one.
            Err(_) => Vec::new(),
            Ok(events) => events,
        };
        self.collect();
        self.judge(events)
    }

    /// Whether a datagram repeats what we have answered already. The library must not see it: it would forget the timer
    /// by which it repeats its answer, and the handshake would never end (RFC 6347 §4.2.4 wants the opposite).
    fn is_repeat(&self, datagram: &[u8]) -> bool {
        let answered =
            |sent: &BytesMut| first_message(sent).is_some_and(|kind| !matches!(kind, CLIENT_HELLO | HELLO_VERIFY));
        match (self.role, first_message(datagram)) {
            _ if self.established || !self.last_flight.iter().any(answered) => false,
            (DtlsRole::Server, kind) => kind == Some(CLIENT_HELLO),
            (DtlsRole::Client, kind) => kind.is_some(),
        }
    }

    /// Takes what the library wants sent.
    fn collect(&mut self) {
        let flight: Vec<BytesMut> = std::iter::from_fn(|| self.endpoint.poll_transmit().map(|t| t.message)).collect();
        if !flight.is_empty() && !self.established {
            self.last_flight.clone_from(&flight);
        }
        self.outgoing.extend(flight);
    }

    /// Starts over with our next profile, as if the client's first flight had only now arrived.
    fn try_next_profile(&mut self, now: Instant) -> Result<Progress, Failure> {
        self.attempt += 1;
        let config = self.identity.servers.get(self.attempt).ok_or(Failure::Handshake)?;
        self.endpoint = endpoint(Some(config.clone()));
        for datagram in std::mem::take(&mut self.hello) {
            match self.receive(now, &datagram)? {
                Progress::Pending => {}
                other => return Ok(other),
            }
        }
        Ok(Progress::Pending)
    }

    fn judge(&mut self, events: Vec<EndpointEvent>) -> Result<Progress, Failure> {
        let mut progress = Progress::Pending;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => progress = self.establish()?,
                EndpointEvent::PeerClosed => progress = Progress::Closed,
                // No data channels: application data has no reader.
                _ => {}
            }
        }
        Ok(progress)
    }

    fn establish(&mut self) -> Result<Progress, Failure> {
        let state = self.endpoint.get_connection_state(PEER).ok_or(Failure::Handshake)?;
        let certificate = state.peer_certificates.first().ok_or(Failure::WrongFingerprint)?;
        if !self
            .fingerprints
            .iter()
            .any(|fingerprint| matches(fingerprint, certificate))
        {
            return Err(Failure::WrongFingerprint);
        }
        let profile = Profile::PREFERENCE
            .into_iter()
            .find(|&profile| library_profile(profile) == state.srtp_protection_profile())
            .ok_or(Failure::Handshake)?;
        let exported = state
            .export_keying_material("EXTRACTOR-dtls_srtp", &[], profile.exported_len())
            .map_err(|_| Failure::Handshake)?;
        self.established = true;
        self.hello = Vec::new();
        self.last_flight = Vec::new();
        let exported = exported.as_ref().to_vec();
        Ok(Progress::Established {
            profile,
            exported,
            we_are_client: self.role == DtlsRole::Client,
        })
    }

    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.outgoing.pop_front()
    }

    /// Retransmissions. Call at or after [`Dtls::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Failure> {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.endpoint
                .handle_timeout(PEER, now)
                .map_err(|_| Failure::Handshake)?;
            self.collect();
        }
        Ok(())
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&PEER)
    }

    /// Queues a close_notify.
    pub fn close(&mut self, now: Instant) {
        let _ = self.endpoint.close(now);
        self.collect();
    }
}

/// The type of the handshake message with which an unprotected datagram begins (RFC 6347 §4.1, §4.2.2).
fn first_message(datagram: &[u8]) -> Option<u8> {
    const HANDSHAKE: u8 = 22;
    let unprotected = datagram.first() == Some(&HANDSHAKE) && datagram.get(3..5) == Some(&[0, 0]);
    datagram.get(13).copied().filter(|_| unprotected)
}

fn endpoint(server: Option<Arc<HandshakeConfig>>) -> Endpoint {
    Endpoint::new(PEER, TransportProtocol::UDP, server)
}

fn matches(fingerprint: &Fingerprint, certificate: &[u8]) -> bool {
    let algorithm = match fingerprint.hash {
        FingerprintHash::Sha256 => &digest::SHA256,
        FingerprintHash::Sha384 => &digest::SHA384,
        FingerprintHash::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, certificate).as_ref() == fingerprint.digest.as_slice()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media::virtual_time::epoch;

    fn sha256(identity: &DtlsIdentity) -> Vec<Fingerprint> {
        vec![Fingerprint {
            hash: FingerprintHash::Sha256,
            digest: identity.fingerprint.into(),
        }]
    }

    /// Carries datagrams both ways until neither has more; returns how each side ended.
    fn shake(
        client: &mut Dtls,
        server: &mut Dtls,
    ) -> (Result<Option<Profile>, Failure>, Result<Option<Profile>, Failure>) {
        let now = epoch();
        client.start(now).unwrap();
        let (mut at_client, mut at_server) = (Ok(None), Ok(None));
        loop {
            let to_server: Vec<_> = std::iter::from_fn(|| client.poll_transmit()).collect();
            for datagram in &to_server {
                note(&mut at_server, server.receive(now, datagram));
            }
            let to_client: Vec<_> = std::iter::from_fn(|| server.poll_transmit()).collect();
            for datagram in &to_client {
                note(&mut at_client, client.receive(now, datagram));
            }
            if to_server.is_empty() && to_client.is_empty() {
                return (at_client, at_server);
            }
        }
    }

    fn note(end: &mut Result<Option<Profile>, Failure>, progress: Result<Progress, Failure>) {
        match progress {
            Ok(Progress::Established { profile, .. }) if end.is_ok() => *end = Ok(Some(profile)),
            Ok(_) => {}
            Err(failure) => *end = Err(failure),
        }
    }

    /// A lossy handshake in virtual time: loses the datagrams whose turn `lost` names, counted over both directions.
    fn shake_with_losses(lost: &[usize]) -> Option<Duration> {
        let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
        let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
        let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
        client.start(epoch()).unwrap();
        let mut turn = 0;
        let mut arrives = || {
            turn += 1;
            !lost.contains(&(turn - 1))
        };
        for tick in 0..1_000 {
            let now = epoch() + Duration::from_millis(tick * 10);
            client.handle_timeout(now).unwrap();
            server.handle_timeout(now).unwrap();
            while let Some(datagram) = client.poll_transmit() {
                if arrives() {
                    server.receive(now, &datagram).unwrap();
                }
            }
            while let Some(datagram) = server.poll_transmit() {
                if arrives() {
                    client.receive(now, &datagram).unwrap();
                }
            }
            if client.established && server.established {
                return Some(now - epoch());
            }
        }
        None
    }

    #[test]
    fn a_handshake_survives_the_loss_of_any_two_datagrams() {
        let undisturbed = shake_with_losses(&[]);
        assert!(
            undisturbed.is_some_and(|took| took < Duration::from_millis(50)),
            "{undisturbed:?}"
        );
        for first in 0..8 {
            for second in first..8 {
                let took = shake_with_losses(&[first, second]);
                assert!(
                    took.is_some_and(|took| took <= Duration::from_secs(4)),
                    "{first} and {second} lost: {took:?}"
                );
            }
        }
    }

    #[test]
    fn the_server_prefers_aes_128_gcm_whatever_the_client_lists_first() {
        let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
        let mut reversed = theirs.clone();
        let provider = rtc_crypto::default_provider().unwrap();
        let certificate = Certificate::generate_self_signed(vec!["client".to_owned()], provider.crypto()).unwrap();
        let fingerprint = digest::digest(&digest::SHA256, certificate.certificate[0].as_ref());
        reversed.fingerprint = fingerprint.as_ref().try_into().unwrap();
        reversed.client = Arc::new(
            ConfigBuilder::default()
                .with_crypto_provider(provider)
                .with_certificates(vec![certificate])
                .with_srtp_protection_profiles(vec![
                    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
                    SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
                    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
                ])
                .with_insecure_skip_verify(true)
                .build(true, Some(PEER))
                .unwrap(),
        );
        let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&reversed));
        let mut client = Dtls::new(reversed, DtlsRole::Client, sha256(&ours));
        let (at_client, at_server) = shake(&mut client, &mut server);
        assert_eq!(at_client, Ok(Some(Profile::AeadAes128Gcm)));
        assert_eq!(at_server, Ok(Some(Profile::AeadAes128Gcm)));
    }

    #[test]
    fn a_client_that_only_knows_sha1_80_gets_it() {
        let (ours, mut theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
        let provider = rtc_crypto::default_provider().unwrap();
        let certificate = Certificate::generate_self_signed(vec!["client".to_owned()], provider.crypto()).unwrap();
        let fingerprint = digest::digest(&digest::SHA256, certificate.certificate[0].as_ref());
        theirs.fingerprint = fingerprint.as_ref().try_into().unwrap();
        theirs.client = Arc::new(
            ConfigBuilder::default()
                .with_crypto_provider(provider)
                .with_certificates(vec![certificate])
                .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80])
                .with_insecure_skip_verify(true)
                .build(true, Some(PEER))
                .unwrap(),
        );
        let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
        let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
        let (at_client, at_server) = shake(&mut client, &mut server);
        assert_eq!(at_client, Ok(Some(Profile::Aes128CmHmacSha1_80)));
        assert_eq!(at_server, Ok(Some(Profile::Aes128CmHmacSha1_80)));
    }

    #[test]
    fn a_certificate_with_another_fingerprint_is_refused() {
        let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
        let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&ours));
        let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
        let (_, at_server) = shake(&mut client, &mut server);
        assert_eq!(at_server, Err(Failure::WrongFingerprint));
    }

    #[test]
    fn garbage_in_the_middle_does_not_end_a_handshake() {
        let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
        let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
        let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
        let now = epoch();
        for garbage in [
            &[22_u8, 254, 253][..],
            &[22; 60],
            &[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9],
        ] {
            assert!(matches!(server.receive(now, garbage), Ok(Progress::Pending)));
        }
        let (at_client, at_server) = shake(&mut client, &mut server);
        assert!(at_client.is_ok_and(|profile| profile.is_some()));
        assert!(at_server.is_ok_and(|profile| profile.is_some()));
    }
}
