//! Which pages may speak to the server from a browser: its own, and those that are configured.
//!
//! A browser lets any page on the web open WebSockets and post forms to any address, loopback included, but says in
//! `Origin` (RFC 6454 §7) which page it was. Programs that are no browsers send none and are not concerned.

use axum::http::{HeaderMap, header};

use crate::config::Http;

/// Whether a request with these headers may open a WebSocket or change something.
pub fn is_allowed(headers: &HeaderMap, config: &Http) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    origins.next().is_none() && (is_configured(origin, config) || is_own(origin, headers))
}

/// Whether the origin is a foreign page's that was configured: its requests also want CORS headers.
pub fn is_configured(origin: &str, config: &Http) -> bool {
    let same = |allowed: &String| allowed == "*" || allowed.trim_end_matches('/').eq_ignore_ascii_case(origin);
    config.allowed_origins.iter().any(same)
}

/// The scheme is not compared: behind a proxy that adds TLS the server cannot know it.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let authority = origin.split_once("://").map(|(scheme, authority)| match scheme {
        "https" => authority.trim_end_matches(":443"),
        _ => authority.trim_end_matches(":80"),
    });
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) => {
            let default_port = if origin.starts_with("https:") { ":443" } else { ":80" };
            authority.eq_ignore_ascii_case(host.trim_end_matches(default_port))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: &[&str], host: &str, configured: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for origin in origin {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        headers.insert(header::HOST, host.parse().unwrap());
        let config = Http {
            allowed_origins: configured.iter().map(|s| (*s).to_owned()).collect(),
            ..Http::default()
        };
        is_allowed(&headers, &config)
    }

    #[test]
    fn the_servers_own_pages_may_and_foreign_pages_may_not() {
        assert!(allowed(&["https://localhost:8443"], "localhost:8443", &[]));
        assert!(allowed(&["https://meet.example"], "meet.example", &[]));
        assert!(allowed(&["https://meet.example"], "meet.example:443", &[]));
        assert!(allowed(&["https://[::1]:8443"], "[::1]:8443", &[]));
        assert!(!allowed(&["https://evil.example"], "localhost:8443", &[]));
        assert!(!allowed(&["https://localhost:9999"], "localhost:8443", &[]));
        assert!(!allowed(&["https://localhost"], "localhost:8443", &[]));
        assert!(!allowed(&["null"], "localhost:8443", &[]));
        assert!(!allowed(
            &["https://localhost:8443.evil.example"],
            "localhost:8443",
            &[]
        ));
    }

    #[test]
    fn configured_pages_may() {
        let configured = ["https://app.example"];
        assert!(allowed(&["https://app.example"], "localhost:8443", &configured));
        assert!(!allowed(&["http://app.example"], "localhost:8443", &configured));
        assert!(allowed(&["https://anything.example"], "localhost:8443", &["*"]));
    }

    #[test]
    fn programs_without_an_origin_may_and_two_origins_may_not() {
        assert!(allowed(&[], "localhost:8443", &[]));
        let both = ["https://localhost:8443", "https://evil.example"];
        assert!(!allowed(&both, "localhost:8443", &[]));
    }
}
