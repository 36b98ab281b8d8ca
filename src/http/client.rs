//! The address that a request comes from: the connection's, or the one that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use crate::config::Http;
use crate::shares::ClientAddress;

/// The header in which proxies name the client. Before that, it has whatever the client itself has put there.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address whose share a request uses, for handlers.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub ClientAddress);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let known = parts.extensions.get::<Client>().copied();
        Ok(known.unwrap_or(Client(ClientAddress::UNKNOWN)))
    }
}

/// Determines the address of every request, once.
pub(super) async fn recognize(State(http): State<Arc<Http>>, mut request: Request, next: Next) -> Response {
    let connected = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = connected {
        let client = address(peer.ip(), request.headers(), &http.trusted_proxies);
        request.extensions_mut().insert(Client(client.into()));
    }
    next.run(request).await
}

/// The last address in the header that is not a trusted proxy's. The client may have written everything before that
/// one.
fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.contains(&address.to_canonical());
    if !is_trusted(&peer) {
        return peer;
    }
    let named: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    let mut nearest = peer;
    for text in named.into_iter().rev() {
        let Some(address) = parse(text) else { break };
        nearest = address;
        if !is_trusted(&nearest) {
            break;
        }
    }
    nearest
}

/// Reads an address, with a port or without: some proxies add it.
fn parse(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_trusted_proxy_names_the_client_and_only_by_its_own_word() {
        let trusted = [ip("127.0.0.1"), ip("192.0.2.9")];
        let from = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            address(ip(peer), &headers, &trusted).to_string()
        };
        assert_eq!(from("203.0.113.1", &["198.51.100.1"]), "203.0.113.1", "no proxy");
        assert_eq!(from("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(from("127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("::ffff:127.0.0.1", &["198.51.100.1:80"]), "198.51.100.1");
        assert_eq!(from("127.0.0.1", &["6.6.6.6, 198.51.100.1"]), "198.51.100.1", "a claim");
        assert_eq!(
            from("127.0.0.1", &["6.6.6.6", "198.51.100.1, 192.0.2.9"]),
            "198.51.100.1"
        );
        assert_eq!(from("127.0.0.1", &["6.6.6.6, nonsense"]), "127.0.0.1");
        assert_eq!(from("127.0.0.1", &["[2001:db8::1]:5"]), "2001:db8::1");
    }
}
