//! Nonces (RFC 8489 §9.2) that are signed instead of remembered: each says when it was made, and is good for one client address.
//! So a flood of requests without credentials costs no memory, and what somebody has recorded of another client's requests cannot
//! be sent again from elsewhere, nor much later.

use std::net::SocketAddr;

use aws_lc_rs::hmac;

/// Seconds for which a nonce is good. The client repeats its request with a newer one then, so this costs a round trip each hour.
const LIFETIME_S: u64 = 3_600;

/// Hexadecimal digits of the time, and of the signature: 64 bits, which nobody guesses within an hour.
const TIME_DIGITS: usize = 8;
const SIGNATURE_DIGITS: usize = 16;

/// What signs nonces.
pub struct Nonces(hmac::Key);

impl Nonces {
    /// `secret` is random, and of this process alone.
    pub fn new(secret: &[u8]) -> Nonces {
        Nonces(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A nonce for this client.
    pub fn make(&self, unix_s: u64, client: SocketAddr) -> String {
        // The lower 32 bits of the time: the sign that they begin anew is a signature of 1970.
        let time = format!("{:08x}", unix_s as u32);
        let signature = self.sign(&time, client);
        time + &signature
    }

    /// Whether a nonce was made for this client, not too long ago.
    pub fn is_fresh(&self, unix_s: u64, client: SocketAddr, nonce: &[u8]) -> bool {
        let text = std::str::from_utf8(nonce).unwrap_or_default();
        let Some((time, signature)) = text.split_at_checked(TIME_DIGITS) else {
            return false;
        };
        let Ok(made) = u32::from_str_radix(time, 16) else {
            return false;
        };
        let expected = self.sign(time, client);
        let is_signed = aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes());
        // A clock that was set back makes a nonce of the future, which is as good as a new one for as long.
        let age = (unix_s as u32).wrapping_sub(made) as i32;
        is_signed.is_ok() && u64::from(age.unsigned_abs()) < LIFETIME_S
    }

    fn sign(&self, time: &str, client: SocketAddr) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(time.as_bytes());
        match client.ip() {
            std::net::IpAddr::V4(ip) => context.update(&ip.octets()),
            std::net::IpAddr::V6(ip) => context.update(&ip.octets()),
        }
        context.update(&client.port().to_be_bytes());
        let mut text = hex::encode(context.sign());
        text.truncate(SIGNATURE_DIGITS);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_nonce_is_good_for_its_client_and_its_time() {
        let nonces = Nonces::new(b"ours");
        let nonce = nonces.make(NOW, client(1));
        assert_eq!(nonce.len(), TIME_DIGITS + SIGNATURE_DIGITS);
        assert!(nonces.is_fresh(NOW, client(1), nonce.as_bytes()));
        assert!(nonces.is_fresh(NOW + LIFETIME_S - 1, client(1), nonce.as_bytes()));
        assert!(!nonces.is_fresh(NOW + LIFETIME_S, client(1), nonce.as_bytes()), "old");
        assert!(
            !nonces.is_fresh(NOW - LIFETIME_S, client(1), nonce.as_bytes()),
            "of the future"
        );
        assert!(!nonces.is_fresh(NOW, client(2), nonce.as_bytes()), "another port");
        let elsewhere = SocketAddr::from(([192, 0, 2, 2], 1));
        assert!(!nonces.is_fresh(NOW, elsewhere, nonce.as_bytes()), "another address");
        assert!(
            !Nonces::new(b"theirs").is_fresh(NOW, client(1), nonce.as_bytes()),
            "forged"
        );
    }

    #[test]
    fn anything_else_is_no_nonce() {
        let nonces = Nonces::new(b"ours");
        let nonce = nonces.make(NOW, client(1));
        for end in 0..nonce.len() {
            assert!(!nonces.is_fresh(NOW, client(1), &nonce.as_bytes()[..end]), "{end}");
        }
        for at in 0..nonce.len() {
            let mut bytes = nonce.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(!nonces.is_fresh(NOW, client(1), &bytes), "{at}");
        }
        let longer = format!("{nonce}0");
        for bytes in [longer.as_bytes(), b"\xff\xff", "ééééé".as_bytes(), b"-0000001 0000000"] {
            assert!(!nonces.is_fresh(NOW, client(1), bytes));
        }
    }
}
