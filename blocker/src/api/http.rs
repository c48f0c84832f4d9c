//! The HTTP server on the metrics address.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::connections;
use super::metrics::{Metrics, plain};
use super::page::{self, Page};

/// OpenMetrics 1.0, which Prometheus asks for first.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How it is asked for.
const ASKS_FOR_OPEN_METRICS: &str = "application/openmetrics-text";

/// Takes the address, so that a conflict shows before anything else is begun.
///
/// # Errors
///
/// When the address is taken or not this machine's.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot serve metrics on {address}; choose another address with --metrics or under [metrics] in blocker.toml")
    })
}

/// Serves `/metrics`, and the page where it is wanted, for as long as it is polled.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, page: Arc<Page>) {
    let beside = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    tokio::join!(
        connections::serve(listener, page::router(&page, beside)),
        page.keep_history()
    );
}

async fn scrape(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    let mut accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accepted| accepted.to_str().ok());
    let is_open = accepted.any(|accepted| accepted.contains(ASKS_FOR_OPEN_METRICS));
    match metrics.encode() {
        Ok(text) if is_open => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Ok(text) => ([(CONTENT_TYPE, plain::MEDIA_TYPE)], plain::from_open_metrics(&text)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}
