//! The one WebSocket loop for all families.

use axum::Router;

use super::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
}
