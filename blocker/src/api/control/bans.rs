//! `/v1/bans`: which bans are in force, one more, fewer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http_body_util::channel::Channel;
use ipnet::IpNet;
use jiff::SignedDuration;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Ask, Control, Newly, Page, Query, Refusal, Sort, Which, json, read};
use crate::api::model;
use crate::api::problem::Problem;
use crate::ban::Subject;

/// Bans that are asked for at a time.
const PAGE: usize = 5000;
/// Where the order is by packets: the judge goes through all to find them.
const MOST_BY_PACKETS: usize = 10_000;
/// How long a client may not take what it has asked for.
const STALL: Duration = Duration::from_secs(60);
/// The shortest prefixes that somebody may ban by hand: what is shorter is a slip of the finger.
const SHORTEST: (u8, u8) = (8, 16);
/// The longest ban: a hundred years.
const LONGEST: u64 = 100 * 365 * 24 * 3600;

/// Which bans are meant, as a query says it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    jail: Option<String>,
    address: Option<String>,
    network: Option<String>,
    sort: Option<Sort>,
    limit: Option<usize>,
}

impl Asked {
    fn which(&self) -> Result<Which, Problem> {
        let bad = |text: &str, what| Problem::new(StatusCode::BAD_REQUEST, format!("`{text}` is no {what}"));
        let covering = match self.address.as_deref() {
            Some(text) => Some(text.parse::<Subject>().map_err(|_| bad(text, "address or network"))?),
            None => None,
        };
        let within = match self.network.as_deref() {
            Some(text) => Some(text.parse::<Subject>().map_err(|_| bad(text, "network"))?.network()),
            None => None,
        };
        Ok(Which {
            jail: self.jail.clone(),
            covering,
            within,
        })
    }
}

/// A query that is understood.
fn understood(query: Result<extract::Query<Asked>, QueryRejection>) -> Result<Asked, Problem> {
    match query {
        Ok(extract::Query(asked)) => Ok(asked),
        Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, error.body_text())),
    }
}

/// One ban a line, in pages that the judge makes one by one, so that a million need no memory.
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    query: Result<extract::Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = understood(query)?;
    let sort = asked.sort.unwrap_or_default();
    let mut left = asked.limit.unwrap_or(usize::MAX);
    let mut page = PAGE;
    if sort == Sort::Packets {
        left = left.min(MOST_BY_PACKETS);
        page = MOST_BY_PACKETS;
    }
    let mut query = Query {
        which: asked.which()?,
        sort,
        after: None,
        limit: page.min(left),
    };
    // The first page before the answer begins, so that it can still be a refusal.
    let mut found: Page = control.ask(|reply| Ask::Bans(query.clone(), reply)).await?;
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        loop {
            left -= found.bans.len().min(left);
            let lines = Bytes::from(lines(&found.bans));
            if !matches!(timeout(STALL, sender.send_data(lines)).await, Ok(Ok(()))) {
                return;
            }
            let Some(next) = found.next.filter(|_| left > 0) else {
                return;
            };
            query.after = Some(next);
            query.limit = page.min(left);
            let Ok(more) = control.ask(|reply| Ask::Bans(query.clone(), reply)).await else {
                // The answer breaks off, which says that it is not whole.
                sender.abort(io::ErrorKind::TimedOut.into());
                return;
            };
            found = more;
        }
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(body)).into_response())
}

fn lines(bans: &[model::Ban]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bans.len() * 200);
    for ban in bans {
        // A ban has nothing that JSON could not say, and memory takes what is written.
        let _ = serde_json::to_writer(&mut text, ban);
        text.push(b'\n');
    }
    text
}

pub(super) async fn ban(
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked: model::NewBan = read(&headers, body).await?;
    let subject: Subject = asked.address.parse().map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("`{}` is no address or network", asked.address),
        )
    })?;
    let network = subject.network();
    let shortest = match network {
        IpNet::V4(_) => SHORTEST.0,
        IpNet::V6(_) => SHORTEST.1,
    };
    if network.prefix_len() < shortest {
        let detail = format!("{subject} is too much at a time: a prefix has at least {shortest} bits");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let length = match asked.seconds {
        Some(seconds @ 1..=LONGEST) => Some(SignedDuration::from_secs(seconds as i64)),
        Some(_) => {
            let detail = format!("a ban lasts from 1 to {LONGEST} seconds");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
        None => None,
    };
    let newly = Newly {
        subject,
        jail: asked.jail,
        length,
    };
    let bans = control.ask(|reply| Ask::Ban(newly, reply)).await?.map_err(refused)?;
    Ok(json(StatusCode::OK, &model::Banned { bans }))
}

pub(super) async fn unban(
    State(control): State<Arc<Control>>,
    query: Result<extract::Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = understood(query)?;
    if asked.sort.is_some() || asked.limit.is_some() {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bans are lifted all together: without `sort` and `limit`",
        ));
    }
    let which = asked.which()?;
    if which == Which::default() {
        let detail = "say which bans: `address`, `network`, `jail`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let lifted = control.ask(|reply| Ask::Unban(which, reply)).await?.map_err(refused)?;
    Ok(json(StatusCode::OK, &model::Unbanned { lifted }))
}

fn refused(refusal: Refusal) -> Problem {
    let status = match refusal {
        Refusal::NoSuchJail { .. } => StatusCode::NOT_FOUND,
        Refusal::Allowed(_) => StatusCode::CONFLICT,
        Refusal::Full => StatusCode::INSUFFICIENT_STORAGE,
    };
    Problem::new(status, refusal.to_string())
}
