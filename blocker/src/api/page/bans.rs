//! `GET /api/bans`: a part of the bans, as somebody searches for them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{Page, model};
use crate::api::control::{Ask, Found, Search, Sort, Which, json};
use crate::api::problem::Problem;
use crate::ban::{Origin, Subject};

/// The longest that one question is taken to have kept the judge from judging, where he does not say it himself.
pub(super) const SHORT: Duration = Duration::from_millis(100);
/// Bans that are told at a time.
const MOST: usize = 100;
/// How many are told where nobody says it.
const USUAL: usize = 50;
/// Bans that can be passed over: whoever looks for something does not turn so many leaves.
const FARTHEST: usize = 10_000;
/// Bytes of a text that is searched for: longer than any address or network is.
const LONGEST: usize = 64;
/// Bans among which the ones with the most packets are looked for: the kernel is asked for all of them.
const MOST_BY_PACKETS: u64 = 200_000;

/// What is searched for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    search: String,
    jail: Option<String>,
    origin: Option<String>,
    sort: Sort,
    skip: usize,
    limit: Option<usize>,
}

pub(super) async fn bans(
    State(page): State<Arc<Page>>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = query.map_err(|error| bad(error.body_text()))?;
    let search = asked.understood()?;
    if search.sort == Sort::Packets && page.control.status().bans > MOST_BY_PACKETS {
        let detail = "there are too many bans to find those with the most packets here; \
                      `blocker bans --sort packets` on the relay finds them";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let turn = page.turns.take().await?;
    let question = async move {
        let found: Found = page.control.ask(|reply| Ask::Search(search, reply)).await?;
        let took = found.took;
        Ok((found, took))
    };
    let found = turn.ask(question).await?;
    let count = |(jail, origin, bans): (String, Origin, u64)| model::Count {
        jail,
        origin: origin.name(),
        bans,
    };
    let told = model::Bans {
        bans: found.bans,
        matching: found.matching,
        counts: found.counts.into_iter().map(count).collect(),
    };
    Ok(json(StatusCode::OK, &told))
}

impl Asked {
    fn understood(self) -> Result<Search, Problem> {
        if self.search.len() > LONGEST {
            return Err(bad(format!("what is searched for has at most {LONGEST} bytes")));
        }
        if self.skip > FARTHEST {
            return Err(bad(format!(
                "at most {FARTHEST} bans can be passed over; search for fewer"
            )));
        }
        let limit = self.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(bad(format!("from 1 to {MOST} bans are told at a time")));
        }
        let origin = match self.origin.as_deref().map(|name| (name, Origin::from_name(name))) {
            Some((name, None)) => return Err(bad(format!("`{name}` is no origin of bans"))),
            Some((_, origin)) => origin,
            None => None,
        };
        let mut which = Which {
            jail: self.jail,
            ..Which::default()
        };
        let mut text = None;
        let searched = self.search.trim();
        match searched.parse::<Subject>() {
            Ok(subject) if subject.address().is_some() => which.covering = Some(subject),
            Ok(subject) => which.within = Some(subject.network()),
            Err(_) if searched.is_empty() => {}
            Err(_) => text = Some(searched.to_lowercase()),
        }
        Ok(Search {
            which,
            origin,
            text,
            sort: self.sort,
            skip: self.skip,
            limit,
        })
    }
}

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(search: &str) -> Search {
        let asked = Asked {
            search: search.to_owned(),
            ..Asked::default()
        };
        asked.understood().unwrap()
    }

    #[test]
    fn an_address_is_whom_bans_cover_a_network_where_they_lie_and_all_else_a_text() {
        assert_eq!(searched(" 192.0.2.7 ").which.covering, "192.0.2.7".parse().ok());
        assert_eq!(searched("192.0.2.0/24").which.within, "192.0.2.0/24".parse().ok());
        assert_eq!(searched("192.0.2").text.as_deref(), Some("192.0.2"));
        assert_eq!(searched("2001:DB8:").text.as_deref(), Some("2001:db8:"));
        let all = searched("  ");
        assert_eq!((all.which, all.text), (Which::default(), None));
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let refused = |asked: Asked| asked.understood().is_err();
        assert!(refused(Asked {
            search: "1".repeat(65),
            ..Asked::default()
        }));
        assert!(refused(Asked {
            skip: FARTHEST + 1,
            ..Asked::default()
        }));
        for limit in [0, MOST + 1, usize::MAX] {
            assert!(
                refused(Asked {
                    limit: Some(limit),
                    ..Asked::default()
                }),
                "{limit}"
            );
        }
        assert!(refused(Asked {
            origin: Some("hearsay".to_owned()),
            ..Asked::default()
        }));
    }
}
