//! The pages' pure parts (tiling, messages, figures, links), run in a browser without a server behind them.

use std::path::Path;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde::Deserialize;

use crate::harness::chromium::Chromium;
use crate::harness::shared_turn;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

#[derive(Deserialize)]
struct Outcome {
    ran: usize,
    failures: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_pure_parts_do_what_their_cases_say() {
    let _turn = shared_turn().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let scripts = [
        ("/run_cases.js", include_str!("scripts/run_cases.js")),
        ("/conference_logic.js", include_str!("scripts/conference_logic.js")),
        ("/page_logic.js", include_str!("scripts/page_logic.js")),
        ("/quality_logic.js", include_str!("scripts/quality_logic.js")),
        ("/socket_logic.js", include_str!("scripts/socket_logic.js")),
    ];
    let mut router = Router::new()
        .route("/", get(async || Html("<!doctype html><title>logic</title>")))
        .route("/static/{*path}", get(module));
    for (path, script) in scripts {
        router = router.route(path, get(async move || ([(header::CONTENT_TYPE, JAVASCRIPT)], script)));
    }
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let chromium = Chromium::start();
    let page = chromium.page("logic").await;
    page.go(&format!("http://{address}/")).await;
    let outcome: Outcome = page.eval("(await import('/run_cases.js')).runAll()").await;
    server.abort();
    assert!(outcome.ran > 10, "the cases were not found");
    assert!(outcome.failures.is_empty(), "\n  {}", outcome.failures.join("\n  "));
}

async fn module(axum::extract::Path(path): axum::extract::Path<String>) -> impl IntoResponse {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("static").join(path);
    let text = std::fs::read_to_string(file).map_err(|_| StatusCode::NOT_FOUND);
    ([(header::CONTENT_TYPE, JAVASCRIPT)], text)
}
