//! The cookie of RFC 6347 §4.2.1: a client that brings it back has seen datagrams sent to its address.
//!
//! Each connection has one cookie for everybody who sends a hello. So nothing is kept for a hello, and a stranger's hello changes
//! nothing. The library wants to draw a cookie for each handshake; it gets ours instead.

use std::sync::Arc;

use rtc_crypto::{CryptoError, RTCCrypto, RTCCryptoProvider, RTCRandom};

/// A cookie as long as the library's. Nothing else that the library draws is as long.
pub(crate) type Cookie = [u8; 20];

/// Draws a cookie. `None` if the system has no random numbers.
pub fn draw(provider: &dyn RTCCryptoProvider) -> Option<Cookie> {
    let mut cookie = Cookie::default();
    provider.random().fill(&mut cookie).ok()?;
    Some(cookie)
}

/// A provider of cryptography whose next cookie is known.
pub(crate) struct WithCookie {
    provider: Arc<dyn RTCCryptoProvider>,
    cookie: Cookie,
}

impl WithCookie {
    pub fn new(provider: Arc<dyn RTCCryptoProvider>, cookie: Cookie) -> WithCookie {
        WithCookie { provider, cookie }
    }
}

impl RTCCryptoProvider for WithCookie {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self.provider.crypto()
    }

    fn random(&self) -> &dyn RTCRandom {
        self
    }
}

impl RTCRandom for WithCookie {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        if output.len() == self.cookie.len() {
            output.copy_from_slice(&self.cookie);
            return Ok(());
        }
        self.provider.random().fill(output)
    }
}
