//! The process's certificate, and the settings of the DTLS library for a handshake.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::digest;
use rtc_crypto::RTCCryptoProvider;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::error::Error as DtlsError;

use super::cookie::{Cookie, WithCookie};
use crate::media::peer::srtp::Profile;

/// The library identifies a connection by its address. A connection may change its address, so this fixed one stands for all
/// of them.
pub(super) const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// The process's certificate and the configurations made from it, shared by all connections.
#[derive(Clone)]
pub struct DtlsIdentity {
    pub(super) provider: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
    pub(super) client: Arc<HandshakeConfig>,
    pub fingerprint: [u8; 32],
}

impl DtlsIdentity {
    /// Makes a fresh self-signed ECDSA P-256 certificate.
    pub fn generate() -> Result<DtlsIdentity, DtlsError> {
        DtlsIdentity::generate_offering(&Profile::PREFERENCE)
    }

    /// The same as [`DtlsIdentity::generate`], but as a client only these profiles are offered.
    pub(crate) fn generate_offering(profiles: &[Profile]) -> Result<DtlsIdentity, DtlsError> {
        let provider = rtc_crypto::default_provider().map_err(|error| DtlsError::Other(error.to_string()))?;
        let certificate = Certificate::generate_self_signed(vec!["patchbay".to_owned()], provider.crypto())?;
        let der = certificate
            .certificate
            .first()
            .map(|der| der.as_ref().to_vec())
            .unwrap_or_default();
        let fingerprint = digest::digest(&digest::SHA256, &der);
        let offered = profiles.iter().copied().map(library_profile).collect();
        Ok(DtlsIdentity {
            client: Arc::new(config(provider.clone(), &certificate, offered, true)?),
            provider,
            certificate,
            fingerprint: fingerprint.as_ref().try_into().unwrap_or([0; 32]),
        })
    }

    /// The settings of one handshake. The library's server follows the client's order of SRTP profiles, so it sees only one
    /// of the client's profiles: the one that we prefer.
    pub(super) fn server(&self, profile: Profile, cookie: Cookie) -> Result<HandshakeConfig, DtlsError> {
        let provider = Arc::new(WithCookie::new(self.provider.clone(), cookie));
        config(provider, &self.certificate, vec![library_profile(profile)], false)
    }
}

fn config(
    provider: Arc<dyn RTCCryptoProvider>,
    certificate: &Certificate,
    profiles: Vec<SrtpProtectionProfile>,
    is_client: bool,
) -> Result<HandshakeConfig, DtlsError> {
    ConfigBuilder::default()
        .with_crypto_provider(provider)
        .with_certificates(vec![certificate.clone()])
        .with_srtp_protection_profiles(profiles)
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        // Certificates are self-signed; the fingerprint in the offer proves that they are right (RFC 8122).
        .with_insecure_skip_verify(true)
        .build(is_client, Some(PEER))
}

pub(super) fn library_profile(profile: Profile) -> SrtpProtectionProfile {
    match profile {
        Profile::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        Profile::AeadAes256Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
        Profile::Aes128CmHmacSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    }
}
