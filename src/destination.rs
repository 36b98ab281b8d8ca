//! Where this server sends requests of its own: webhooks, notices for push services. Unless the operator allows it, that is never an address of this machine or of a network that is
//! not the Internet: whoever could choose the URL, or what its host name resolves to, could otherwise reach what is not meant for
//! them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The URL that requests are sent to.
#[derive(Clone)]
pub(crate) struct Destination(Url);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("it is not a URL that begins with https:// or http://")]
    NotHttp,
    #[error("it does not begin with https://, and what is sent there is secret")]
    NotEncrypted,
    #[error(
        "the address is not one of the public Internet; set allow_private_addresses = true in this section if you trust it all the same"
    )]
    Private,
}

impl Destination {
    pub fn read(text: &str, allows_private: bool) -> Result<Destination, BadUrl> {
        let url = Url::parse(text).map_err(|_| BadUrl::NotHttp)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(BadUrl::NotHttp);
        }
        // A host that is an address is never resolved. A name is checked each time that it is ([`PublicOnly`]).
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let leads_inside = match address {
            Ok(address) => !is_public(address),
            Err(_) => is_this_machine(host),
        };
        match leads_inside && !allows_private {
            true => Err(BadUrl::Private),
            false => Ok(Destination(url)),
        }
    }

    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    /// The URL, if what is sent there is encrypted.
    pub(crate) fn https_url(&self) -> Result<Url, BadUrl> {
        match self.0.scheme() {
            "https" => Ok(self.url()),
            _ => Err(BadUrl::NotEncrypted),
        }
    }
}

/// The host alone: the rest may hold a secret.
impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({})", self.0.host_str().unwrap_or_default())
    }
}

/// Resolves names to public addresses alone. The address that was checked is the one that is connected to.
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, BadUrl::Private).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether a name is that of this machine, wherever it is asked for (RFC 6761 §6.3).
fn is_this_machine(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// Whether an address is one of the public Internet: none of the special ones (RFC 6890 and the IANA registries), and none that
/// leads to such a one.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // "This network" (RFC 791), and reserved (RFC 1112), with the broadcast address.
        || a == 0
        || a >= 240
        // Between a provider and its customers (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments (RFC 6890), the former 6to4 relays (RFC 7526), benchmarks (RFC 2544).
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    let [.., high, low] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match first {
        // Translated by NAT64 (RFC 6052).
        0x64 if second == 0xff9b && address.segments()[2..6] == [0; 4] => embedded(high, low),
        // Tunnelled by 6to4 (RFC 3056).
        0x2002 => embedded(second, third),
        // Protocol assignments with Teredo (RFC 2928), documentation (RFC 3849).
        0x2001 if second < 0x200 || second == 0xdb8 => false,
        // Documentation (RFC 9637).
        0x3fff if second < 0x1000 => false,
        // All else that is routed in the Internet is global unicast (RFC 4291 §2.4). That leaves out loopback, mapped and
        // link-local addresses, local ones (RFC 4193) and multicast.
        _ => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::1.1.1.1",
            "2002:101:101::",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn a_url_that_leads_inside_is_refused_unless_it_is_allowed() {
        for inside in [
            "http://127.0.0.1/hook",
            "https://[::1]:8443/",
            "http://10.1.2.3",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost:8080/hook",
            "https://LOCALHOST./hook",
            "http://hook.localhost/",
            // Other ways to write 127.0.0.1 (WHATWG URL).
            "http://2130706433/",
            "http://0x7f.1/",
        ] {
            assert_eq!(
                Destination::read(inside, false).err(),
                Some(BadUrl::Private),
                "{inside}"
            );
            assert!(Destination::read(inside, true).is_ok(), "{inside}");
        }
        assert!(Destination::read("http://localhost.example.org/", false).is_ok());
        for bad in ["", "hook", "ftp://example.org/", "file:///etc/passwd", "https://"] {
            assert_eq!(Destination::read(bad, true).err(), Some(BadUrl::NotHttp), "{bad}");
        }
        let with_secret = Destination::read("https://user:key@example.org/hook?key=1", false).unwrap();
        assert_eq!(format!("{with_secret:?}"), "Destination(example.org)");
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_resolved_to_nothing() {
        let outcome = PublicOnly.resolve("localhost".parse().unwrap()).await;
        let error = outcome.err().unwrap();
        assert!(error.to_string().contains("not one of the public Internet"), "{error}");
    }
}
