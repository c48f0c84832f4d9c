//! `GET /v1/why`: the whole story of a host or network.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{Ask, Control, json};
use crate::api::model;
use crate::api::problem::Problem;
use crate::ban::Subject;

/// Who is meant, as a query says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    address: String,
}

pub(super) async fn why(
    State(control): State<Arc<Control>>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Asked { address }) = query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    Ok(json(StatusCode::OK, &control.why(&address).await?))
}

impl Control {
    /// Asks for the story of whom somebody has named so.
    pub(in crate::api) async fn why(&self, address: &str) -> Result<model::Why, Problem> {
        let subject: Subject = address
            .parse()
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, format!("`{address}` is no address or network")))?;
        let mut why = self.ask(|reply| Ask::Why(subject, reply)).await?;
        // The judge knows jails by what they count, and not by their ports.
        let about = self.about();
        for reason in &mut why.bans {
            let jail = about.jails.iter().find(|jail| jail.name == reason.ban.jail);
            reason.scope = jail.map(|jail| jail.scope.clone()).unwrap_or_default();
        }
        Ok(why)
    }
}
