//! Headers that every answer carries, unless its handler set its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tower_http::set_header::SetResponseHeaderLayer;

use super::host;
use crate::config::Http;

/// The rights of pages: our own may use camera, microphone and screen; no foreign page in a frame may, and nobody may use
/// features that we never use.
const PERMISSIONS_POLICY: &str = "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), \
    screen-wake-lock=(self), fullscreen=(self), picture-in-picture=(self), autoplay=(self), \
    geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=()";

/// Adds the headers to all answers. `ports` are those of all listeners.
pub(crate) fn with_security_headers(router: Router, config: &Http, ports: &[u16]) -> Router {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Addresses of pages have user and room ids, which no other site may see.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
    ];
    let policy = Policy {
        frame_ancestors: config.frame_ancestors.join(" "),
        ports: ports.to_vec(),
    };
    let mut router = router.layer(from_fn_with_state(Arc::new(policy), with_policy));
    for (name, value) in fixed {
        router = router.layer(SetResponseHeaderLayer::if_not_present(
            name,
            HeaderValue::from_static(value),
        ));
    }
    router
}

async fn with_policy(State(policy): State<Arc<Policy>>, request: Request, next: Next) -> Response {
    let host = host::of(&request);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.of_page(host.as_ref()));
    }
    response
}

/// The policy of pages (Content Security Policy Level 3): no inline script or style, nothing from elsewhere.
struct Policy {
    frame_ancestors: String,
    ports: Vec<u16>,
}

impl Policy {
    fn of_page(&self, host: Option<&Authority>) -> HeaderValue {
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
             media-src 'self' blob: mediastream:; connect-src 'self'{}; frame-src 'self'; worker-src 'self'; \
             manifest-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors {}",
            self.other_ports(host),
            self.frame_ancestors
        );
        // The configured part was checked to be visible ASCII. If it is not, the strictest policy is sent.
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
    }

    /// Sources for the other ports of this server. `'self'` covers the WebSocket on the page's own port (§6.7.2.8: a `wss` URL
    /// matches an `https` source) and no other port. [`super::origin`] lets a page use every port of ours on its host, so this
    /// must, too. `http` and `ws` stand for `https` and `wss` as well (`scheme-part` matches). An IPv6 address cannot be
    /// written in a policy (§2.3.1, `host-part`).
    fn other_ports(&self, host: Option<&Authority>) -> String {
        let Some(host) = host.map(Authority::host).filter(|host| is_host_part(host)) else {
            return String::new();
        };
        let ports = self.ports.iter();
        ports
            .map(|port| format!(" http://{host}:{port} ws://{host}:{port}"))
            .collect()
    }
}

/// Whether a host may be written into the policy. The client sends the Host header: no part of it may end the directive, or
/// stand for other hosts.
fn is_host_part(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_src(host: &str) -> String {
        let policy = Policy {
            frame_ancestors: "'self'".to_owned(),
            ports: vec![8443, 9090],
        };
        let policy = policy.of_page(host.parse().ok().as_ref());
        let directives = policy.to_str().unwrap().split("; ").map(str::to_owned);
        let found: Vec<String> = directives.filter(|one| one.starts_with("connect-src ")).collect();
        assert_eq!(found.len(), 1, "{policy:?}");
        found[0].strip_prefix("connect-src ").unwrap().to_owned()
    }

    #[test]
    fn a_page_may_connect_to_every_port_of_ours_on_its_host_and_to_no_other_host() {
        for host in ["10.10.128.7:9090", "10.10.128.7"] {
            assert_eq!(
                connect_src(host),
                "'self' http://10.10.128.7:8443 ws://10.10.128.7:8443 http://10.10.128.7:9090 ws://10.10.128.7:9090"
            );
        }
        assert!(connect_src("meet.example").contains(" ws://meet.example:9090"));
    }

    #[test]
    fn a_host_that_cannot_be_written_in_a_policy_adds_nothing_to_it() {
        for host in ["[::1]:8443", "*:8443", "*.example", "a;script-src", "a,b", "", "a'b"] {
            assert_eq!(connect_src(host), "'self'", "{host}");
        }
    }
}
