//! The pages that may use the server from a browser: its own, and those that are configured. One guard stands before every
//! route that opens a WebSocket or changes something.
//!
//! A browser lets any page on the web open WebSockets and post forms to any address, loopback included, but names that
//! page in `Origin` (RFC 6454 §7). Programs that are no browsers send no Origin and are let in. A page of another origin
//! that is let in may also read the answer (Fetch Standard §3.3, CORS).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;

use super::errors::HttpError;
use super::host;
use super::openapi;

/// The origins that are let in. Cheap to clone.
#[derive(Clone)]
pub struct Origins {
    /// The origins in `http.allowed_origins`.
    configured: Arc<[String]>,
    /// The ports of all listeners.
    ports: Arc<[u16]>,
}

/// What pages of other origins that are let in may send to some routes, and read of their answers. Their bodies are read in any
/// case.
pub(crate) struct Sharing {
    methods: Vec<Method>,
    /// Headers of requests, beside those that every page may send.
    sends: Vec<HeaderName>,
    /// Headers of answers, beside those that every page may read.
    reads: Vec<HeaderName>,
}

impl Sharing {
    /// Routes with these methods, and bodies of any type.
    pub fn of(methods: impl IntoIterator<Item = Method>) -> Sharing {
        Sharing {
            methods: methods.into_iter().collect(),
            sends: vec![header::CONTENT_TYPE],
            reads: Vec::new(),
        }
    }

    pub(crate) fn sending(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Sharing {
        self.sends.extend(headers);
        self
    }

    pub(crate) fn reading(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Sharing {
        self.reads.extend(headers);
        self
    }
}

/// Puts the guard before all routes of `router`. A page that is let in may read the answers. Browsers ask for that in
/// advance where a request is more than a form can send (Fetch Standard §3.3.2), and this answers them.
pub(crate) fn guarded<S: Clone + Send + Sync + 'static>(
    mut router: OpenApiRouter<S>,
    origins: &Origins,
    sharing: Sharing,
) -> OpenApiRouter<S> {
    openapi::add_answer(&mut router, "403", &openapi::answers::foreign_origin());
    let sharing = CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods(sharing.methods)
        .allow_headers(sharing.sends)
        .expose_headers(sharing.reads);
    router.layer(sharing).layer(from_fn_with_state(origins.clone(), guard))
}

async fn guard(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let mut named = request.headers().get_all(header::ORIGIN).iter();
    let Some(origin) = named.next() else {
        return next.run(request).await;
    };
    let is_one = named.next().is_none();
    let text = origin.to_str().unwrap_or_default();
    if !is_one || !origins.allow(text, host::of(&request).as_ref()) {
        let sentence = format!("pages of the origin `{text}` may not do this; http.allowed_origins lists who may");
        return HttpError::new(StatusCode::FORBIDDEN, sentence).into_response();
    }
    next.run(request).await
}

impl Origins {
    pub fn new(configured: &[String], ports: impl IntoIterator<Item = u16>) -> Origins {
        Origins {
            configured: configured.into(),
            ports: ports.into_iter().collect(),
        }
    }

    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    pub(super) fn allow(&self, origin: &str, host: Option<&Authority>) -> bool {
        lists(&self.configured, origin) || host.is_some_and(|host| self.is_own(origin, host))
    }

    /// Whether the page has the same host name, on the port of the request or on any port of ours: the pages of one server
    /// may be on another of its ports than its sockets. The scheme is not compared: behind a proxy that adds TLS the
    /// server cannot know it.
    fn is_own(&self, origin: &str, host: &Authority) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        let default_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return false,
        };
        let Ok(page) = authority.parse::<Authority>() else {
            return false;
        };
        let port = page.port_u16().unwrap_or(default_port);
        let requested = host.port_u16().unwrap_or(default_port);
        page.host().eq_ignore_ascii_case(host.host()) && (port == requested || self.ports.contains(&port))
    }
}

/// Whether a list of the configuration has the origin, or has "*".
pub(crate) fn lists(configured: &[String], origin: &str) -> bool {
    // "https://a.example/" means "https://a.example"; "file://" has no slash to remove.
    let same = |listed: &String| {
        let bare = listed.strip_suffix('/').filter(|bare| !bare.ends_with('/'));
        listed == "*" || bare.unwrap_or(listed).eq_ignore_ascii_case(origin)
    };
    configured.iter().any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: &str, host: &str, configured: &[&str]) -> bool {
        let configured: Vec<String> = configured.iter().map(|s| (*s).to_owned()).collect();
        Origins::new(&configured, [8443, 9090]).allow(origin, host.parse().ok().as_ref())
    }

    #[test]
    fn the_servers_own_pages_may_and_foreign_pages_may_not() {
        for (origin, host) in [
            ("https://localhost:8443", "localhost:8443"),
            ("https://meet.example", "meet.example"),
            ("https://meet.example", "meet.example:443"),
            ("http://meet.example", "meet.example:80"),
            ("https://MEET.example:444", "meet.example:444"),
            ("https://[::1]:8443", "[::1]:8443"),
        ] {
            assert!(allowed(origin, host, &[]), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "localhost:8443"),
            ("https://localhost:9999", "localhost:8443"),
            ("https://localhost", "localhost:8443"),
            ("https://meet.example", "meet.example:80"),
            ("null", "localhost:8443"),
            ("file://", "localhost:8443"),
            ("", "localhost:8443"),
            ("ftp://localhost:8443", "localhost:8443"),
            ("https://localhost:8443.evil.example", "localhost:8443"),
            ("https://localhost:8443@evil.example", "localhost:8443"),
        ] {
            assert!(!allowed(origin, host, &[]), "{origin} {host}");
        }
    }

    #[test]
    fn a_page_on_one_of_our_ports_may_ask_on_another_of_the_same_host() {
        assert!(allowed("https://10.10.128.7:9090", "10.10.128.7:2048", &[]));
        assert!(allowed("https://meet.example:9090", "meet.example", &[]));
        assert!(!allowed("https://evil.example:9090", "10.10.128.7:2048", &[]));
        assert!(!allowed("https://10.10.128.7:9091", "10.10.128.7:2048", &[]));
    }

    #[test]
    fn configured_pages_may() {
        let configured = ["https://app.example/"];
        assert!(allowed("https://app.example", "localhost:8443", &configured));
        assert!(!allowed("http://app.example", "localhost:8443", &configured));
        assert!(allowed("https://anything.example", "localhost:8443", &["*"]));
    }

    #[test]
    fn pages_without_an_origin_of_their_own_may_where_they_are_listed() {
        assert!(allowed("null", "localhost:8443", &["null"]));
        assert!(!allowed("file://", "localhost:8443", &["null"]));
        assert!(allowed("file://", "localhost:8443", &["file://"]));
        assert!(allowed(
            "capacitor://localhost",
            "localhost:8443",
            &["capacitor://localhost"]
        ));
    }

    #[tokio::test]
    async fn pages_that_ask_in_advance_hear_what_they_may_send_and_others_what_they_may_read() {
        let router = OpenApiRouter::new().route("/x", axum::routing::delete(|| async {}));
        let sharing = Sharing::of([Method::POST, Method::DELETE]);
        let sharing = sharing.sending([header::IF_MATCH]).reading([header::ETAG]);
        let (router, _) = guarded(router, &Origins::new(&[], [8443]), sharing).split_for_parts();
        let requested = |method: Method| {
            let request = Request::builder()
                .method(method)
                .uri("/x")
                .header(header::HOST, "localhost:8443")
                .header(header::ORIGIN, "https://localhost:8443")
                .header(header::ACCESS_CONTROL_REQUEST_METHOD, "DELETE");
            let request = request.body(axum::body::Body::empty()).unwrap();
            tower::ServiceExt::oneshot(router.clone(), request)
        };
        let answer = requested(Method::OPTIONS).await.unwrap();
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_METHODS], "POST,DELETE");
        assert_eq!(
            answer.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS],
            "content-type,if-match"
        );
        let answer = requested(Method::DELETE).await.unwrap();
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS], "etag");
    }
}
