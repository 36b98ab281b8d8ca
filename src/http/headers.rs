//! Headers that every answer carries, unless its handler set its own.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::config::Http;

/// Camera, microphone, screen for our own pages and for nobody in a frame of theirs; what we never use for nobody.
const PERMISSIONS_POLICY: &str = "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), \
    screen-wake-lock=(self), fullscreen=(self), picture-in-picture=(self), autoplay=(self), \
    geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=()";

pub fn with_security_headers(router: Router, config: &Http) -> Router {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Page addresses carry user and room ids; nobody else is to learn them.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
    ];
    let mut router = router.layer(SetResponseHeaderLayer::if_not_present(
        header::CONTENT_SECURITY_POLICY,
        content_security_policy(config),
    ));
    for (name, value) in fixed {
        router = router.layer(SetResponseHeaderLayer::if_not_present(
            name,
            HeaderValue::from_static(value),
        ));
    }
    router
}

/// Content Security Policy Level 3. No inline script or style, nothing from elsewhere. `'self'` in connect-src covers
/// the WebSocket on the same host (§6.7.2.8: a `wss` URL matches an `https` source).
fn content_security_policy(config: &Http) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
         media-src 'self' blob: mediastream:; connect-src 'self'; frame-src 'self'; worker-src 'self'; manifest-src 'self'; \
         form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors {}",
        config.frame_ancestors.join(" ")
    );
    // The configured part was checked to be visible ASCII; if not, the strictest answer.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}
