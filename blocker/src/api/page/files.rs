//! The page's files, compiled in from `blocker/web`.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::get;

use super::Page;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A path, its media type, and what is there.
type File = (&'static str, &'static str, &'static str);

const FILES: &[File] = &[
    ("/", HTML, include_str!("../../../web/index.html")),
    ("/page.css", STYLE, include_str!("../../../web/page.css")),
    ("/icon.svg", IMAGE, include_str!("../../../web/icon.svg")),
    ("/page.js", SCRIPT, include_str!("../../../web/page.js")),
    ("/bans.js", SCRIPT, include_str!("../../../web/bans.js")),
    ("/charts.js", SCRIPT, include_str!("../../../web/charts.js")),
    ("/health.js", SCRIPT, include_str!("../../../web/health.js")),
    ("/text.js", SCRIPT, include_str!("../../../web/text.js")),
    ("/why.js", SCRIPT, include_str!("../../../web/why.js")),
    (
        "/uPlot.js",
        SCRIPT,
        include_str!("../../../web/uplot/uPlot.iife.min.js"),
    ),
    ("/uPlot.css", STYLE, include_str!("../../../web/uplot/uPlot.min.css")),
];

pub(super) fn routes() -> Router<Arc<Page>> {
    FILES.iter().fold(Router::new(), |router, &(path, kind, text)| {
        router.route(
            path,
            get(move || async move { ([(CONTENT_TYPE, kind)], text).into_response() }),
        )
    })
}
