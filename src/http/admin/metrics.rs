//! `/metrics` in Prometheus's text format, version 0.0.4.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::state::{Admin, MetricsAccess};
use crate::http::errors::HttpError;
use crate::http::openapi::answers::ErrorBody;

/// Metrics
///
/// In Prometheus's text format, version 0.0.4. ARCHITECTURE.md says which there are.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operators",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = "text/plain; version=0.0.4; charset=utf-8"),
        (status = 403, description = "The client is not on this machine, or came through a proxy; or `metrics.address` serves this.", body = ErrorBody),
    )
)]
pub(super) async fn render(
    State(admin): State<Admin>,
    client: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refusal(&admin, client, &headers) {
        return refusal;
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.metrics.render()).into_response()
}

/// The answer to whoever may read neither the metrics nor who is in which room. `None` for whoever may.
pub(super) fn refusal(
    admin: &Admin,
    client: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    headers: &HeaderMap,
) -> Option<Response> {
    let client = client.map(|axum::Extension(ConnectInfo(address))| address);
    let sentence = "this is served to this machine alone; set metrics.address to serve it elsewhere";
    let may_read = may_read(admin.access, client, headers);
    (!may_read).then(|| HttpError::new(StatusCode::FORBIDDEN, sentence).into_response())
}

/// A proxy on this machine asks for others, and names them in one of these headers.
pub(super) fn may_read(access: MetricsAccess, client: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    match access {
        MetricsAccess::Anyone => true,
        MetricsAccess::Nobody => false,
        MetricsAccess::ThisMachine => {
            let proxied = ["forwarded", "via", "x-forwarded-for", "x-real-ip"]
                .iter()
                .any(|name| headers.contains_key(*name));
            !proxied && client.is_some_and(|address| address.ip().to_canonical().is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_for_this_machine_and_not_for_those_behind_a_proxy_on_it() {
        let here = Some("127.0.0.1:5".parse().unwrap());
        let there = Some("192.0.2.1:5".parse().unwrap());
        let plain = HeaderMap::new();
        let mut proxied = HeaderMap::new();
        proxied.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
        assert!(may_read(MetricsAccess::ThisMachine, here, &plain));
        assert!(!may_read(MetricsAccess::ThisMachine, there, &plain));
        assert!(!may_read(MetricsAccess::ThisMachine, None, &plain));
        assert!(!may_read(MetricsAccess::ThisMachine, here, &proxied));
        assert!(may_read(MetricsAccess::Anyone, there, &proxied));
        assert!(!may_read(MetricsAccess::Nobody, here, &plain));
    }
}
