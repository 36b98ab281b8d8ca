//! Handshakes between two of our sides: without loss, with loss, with clients that behave differently, and with
//! garbage.

mod forged;

use std::sync::Arc;
use std::time::Duration;

use rtc_dtls::config::ConfigBuilder;
use rtc_dtls::crypto::Certificate;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

use super::*;
use crate::media::peer::dtls::identity::PEER;
use crate::media::virtual_time::epoch;

fn sha256(identity: &DtlsIdentity) -> Vec<Fingerprint> {
    vec![Fingerprint {
        hash: FingerprintHash::Sha256,
        digest: identity.fingerprint.into(),
    }]
}

/// Carries datagrams both ways until neither side has more. Returns the outcome of each side.
fn shake(
    client: &mut Dtls,
    server: &mut Dtls,
) -> (
    Result<Option<Profile>, DtlsFailure>,
    Result<Option<Profile>, DtlsFailure>,
) {
    shake_on(epoch(), client, server)
}

/// The same as [`shake`], at another time; the handshake may have begun.
fn shake_on(
    now: Instant,
    client: &mut Dtls,
    server: &mut Dtls,
) -> (
    Result<Option<Profile>, DtlsFailure>,
    Result<Option<Profile>, DtlsFailure>,
) {
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

fn note(end: &mut Result<Option<Profile>, DtlsFailure>, progress: Result<DtlsProgress, DtlsFailure>) {
    match progress {
        Ok(DtlsProgress::Established { profile, .. }) if end.is_ok() => *end = Ok(Some(profile)),
        Ok(_) => {}
        Err(failure) => *end = Err(failure),
    }
}

/// A lossy handshake in virtual time. It loses the datagrams whose numbers `lost` names, counted over both
/// directions.
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
        if client.association.is_some() && server.association.is_some() {
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
    assert_eq!(at_server, Err(DtlsFailure::WrongFingerprint));
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
        assert!(matches!(server.receive(now, garbage), Ok(DtlsProgress::Pending)));
    }
    let (at_client, at_server) = shake(&mut client, &mut server);
    assert!(at_client.is_ok_and(|profile| profile.is_some()));
    assert!(at_server.is_ok_and(|profile| profile.is_some()));
}

/// Two sides that have finished their handshake.
fn established() -> (Dtls, Dtls) {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
    let (at_client, at_server) = shake(&mut client, &mut server);
    assert!(at_client.unwrap().is_some() && at_server.unwrap().is_some());
    (server, client)
}

#[test]
fn either_side_understands_the_others_goodbye_and_nobody_elses() {
    for leaves in [DtlsRole::Server, DtlsRole::Client] {
        let (mut server, mut client) = established();
        let (leaving, staying) = match leaves {
            DtlsRole::Server => (&mut server, &mut client),
            DtlsRole::Client => (&mut client, &mut server),
        };
        leaving.close(epoch());
        let goodbye = leaving.poll_transmit().unwrap();
        let mut broken = goodbye.to_vec();
        *broken.last_mut().unwrap() ^= 1;
        for _ in 0..3 {
            assert!(matches!(staying.receive(epoch(), &broken), Ok(DtlsProgress::Pending)));
            assert!(staying.poll_transmit().is_none(), "{leaves:?}");
        }
        let (_, mut other) = established();
        assert!(matches!(other.receive(epoch(), &goodbye), Ok(DtlsProgress::Pending)));
        assert!(matches!(staying.receive(epoch(), &goodbye), Ok(DtlsProgress::Closed)));
        let answer = staying.poll_transmit().unwrap();
        assert_eq!(records::records(&answer).next().map(|record| record.epoch), Some(1));
    }
}
