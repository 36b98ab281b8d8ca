//! Failures on demand, for tests: `POST /debug/fault?part=hub&how=panic`, or `?part=worker&worker=1&how=hang&ms=3000`.
//!
//! Only debug builds have this route, and only those who may read the metrics may use it. Release builds cannot be made
//! to fail this way.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};

use super::metrics;
use super::state::Admin;
use crate::http::openapi::answers::ErrorBody;
use crate::hub::HubFault;
use crate::ids::WorkerId;
use crate::media::messages::Fault;

#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FaultQuery {
    /// Part that fails: `hub` or `worker`.
    part: String,
    /// Number of the worker, from 0.
    worker: Option<usize>,
    /// How it fails: `panic`, `hang`, or `error` (a worker only).
    how: String,
    /// The time to hang, in milliseconds.
    ms: Option<u64>,
}

/// Let a part fail
///
/// Only debug builds have this.
#[utoipa::path(
    post,
    path = "/debug/fault",
    tag = "operators",
    params(FaultQuery),
    responses(
        (status = 204, description = "The part fails now."),
        (status = 400, description = "There is no such part, or it cannot fail in this way.", body = ErrorBody),
        (status = 403, description = "The client is not on this machine, or came through a proxy.", body = ErrorBody),
    )
)]
pub(super) async fn fault(
    State(admin): State<Admin>,
    client: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Query(fault): Query<FaultQuery>,
) -> StatusCode {
    let client = client.map(|axum::Extension(ConnectInfo(address))| address);
    if !metrics::may_read(admin.access, client, &headers) {
        return StatusCode::FORBIDDEN;
    }
    let time = Duration::from_millis(fault.ms.unwrap_or_default());
    let worker = WorkerId(fault.worker.unwrap_or_default());
    let fault = match (fault.part.as_str(), fault.how.as_str()) {
        ("hub", "panic") => HubFault::Panic,
        ("hub", "hang") => HubFault::Hang(time),
        ("worker", "panic") => HubFault::Worker(worker, Fault::Panic),
        ("worker", "error") => HubFault::Worker(worker, Fault::Error),
        ("worker", "hang") => HubFault::Worker(worker, Fault::Hang(time)),
        _ => return StatusCode::BAD_REQUEST,
    };
    admin.hub.fault(fault).await;
    StatusCode::NO_CONTENT
}
