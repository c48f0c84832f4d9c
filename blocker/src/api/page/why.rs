//! `GET /api/why`: the story of a host or network.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::model::Story;
use super::{Page, bans};
use crate::api::control::json;
use crate::api::model::Why;
use crate::api::problem::Problem;

/// Who is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    address: String,
}

pub(super) async fn why(
    State(page): State<Arc<Page>>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Asked { address }) = query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let lines_shown = page.served().settings.lines;
    let turn = page.turns.take().await?;
    let question = async move {
        let asked = Instant::now();
        let why = page.control.why(&address).await?;
        // A few looks into the database, whoever it is; that the judge had other things to do first is not the question's fault.
        Ok((why, asked.elapsed().min(bans::SHORT)))
    };
    let mut why = turn.ask(question).await?;
    if !lines_shown {
        forget_lines(&mut why);
    }
    Ok(json(StatusCode::OK, &Story { why, lines_shown }))
}

fn forget_lines(why: &mut Why) {
    let bans = why.bans.iter_mut().map(|ban| &mut ban.lines);
    let counted = why.jails.iter_mut().map(|counted| &mut counted.lines);
    let past = why.past.iter_mut().map(|past| &mut past.lines);
    bans.chain(counted).chain(past).for_each(Vec::clear);
}
