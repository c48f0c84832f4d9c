//! What a request is told that cannot be served (RFC 9457).

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::model;

/// The media type of RFC 9457, 3.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// A request that changes nothing, and why.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    problems: Vec<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            problems: Vec::new(),
        }
    }

    pub(super) fn with(self, problems: Vec<String>) -> Self {
        Self { problems, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = model::Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            problems: self.problems,
        };
        // The document has nothing that JSON could not say.
        let text = serde_json::to_vec(&document).unwrap_or_default();
        (self.status, [(CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
    }
}
