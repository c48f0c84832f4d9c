//! `GET /api/history`: what happened over the last hours, noted a few times a minute.
//!
//! Two scales: the last quarter of an hour in slots of five seconds, a day in minutes. Both are bounded, however many jails there are.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::{Page, TICK, model};
use crate::api::control::json;
use crate::api::model::Status;
use crate::api::problem::Problem;
use crate::api::rates::Rates;

const MINUTE: Duration = Duration::from_secs(60);
/// Slots of the fine scale: a quarter of an hour.
const FINE: usize = 180;
/// Slots of the coarse scale: a day.
const COARSE: usize = 24 * 60;
/// Jails that are noted apart; the others are in the sum alone. A day of them takes less than half a megabyte.
const JAILS: usize = 64;
/// Jails that are told apart.
const LOUDEST: usize = 6;

/// Over which time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Span {
    #[serde(rename = "15m")]
    Quarter,
    #[default]
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "6h")]
    Hours,
    #[serde(rename = "24h")]
    Day,
}

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    span: Span,
}

pub(super) async fn history(
    State(page): State<Arc<Page>>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let history = page.history();
    let past = match asked.span {
        Span::Quarter => history.fine.past(FINE),
        Span::Hour => history.coarse.past(60),
        Span::Hours => history.coarse.past(6 * 60),
        Span::Day => history.coarse.past(COARSE),
    };
    Ok(json(StatusCode::OK, &past))
}

/// What has happened.
#[derive(Debug)]
pub(super) struct History {
    fine: Scale,
    coarse: Scale,
}

impl Default for History {
    fn default() -> Self {
        Self {
            fine: Scale::new(TICK, FINE),
            coarse: Scale::new(MINUTE, COARSE),
        }
    }
}

impl History {
    /// Notes how the agent is at a time, by the clock that only goes on and by the one on the wall.
    pub(super) fn put(&mut self, at: Instant, time: Timestamp, status: &Status) {
        self.fine.put(at, time, status);
        self.coarse.put(at, time, status);
    }

    /// What happened a second over the last slot.
    pub(super) fn now(&self) -> Option<model::Rate> {
        let slot = self.fine.slots.back()?;
        Some(model::Rate {
            dropped: slot.dropped,
            bans: slot.bans,
            failures: slot.failures,
        })
    }

    /// What a jail has dropped a second over the last slot.
    pub(super) fn dropped_now(&self, jail: &str) -> Option<f32> {
        let at = self.fine.jails.iter().position(|name| name == jail)?;
        self.fine.slots.back()?.jails.get(at).copied()
    }
}

/// Slots of one length.
#[derive(Debug)]
struct Scale {
    length: Duration,
    most: usize,
    /// How the agent was at the end of the last slot.
    before: Option<(Instant, Status)>,
    end: Option<Timestamp>,
    slots: VecDeque<Slot>,
    /// The jails that are noted apart, in the order of each slot.
    jails: Vec<String>,
}

/// What happened a second in a slot.
#[derive(Clone, Debug)]
struct Slot {
    dropped: f32,
    bans: f32,
    failures: f32,
    jails: Box<[f32]>,
}

impl Scale {
    fn new(length: Duration, most: usize) -> Self {
        Self {
            length,
            most,
            before: None,
            end: None,
            slots: VecDeque::new(),
            jails: Vec::new(),
        }
    }

    fn put(&mut self, at: Instant, time: Timestamp, status: &Status) {
        let Some((began, before)) = &self.before else {
            self.before = Some((at, status.clone()));
            return;
        };
        let elapsed = at.saturating_duration_since(*began);
        // A tick that is a little early is still this slot's end.
        if elapsed + self.length / 20 < self.length {
            return;
        }
        if let Some(rates) = Rates::between(before, status, elapsed) {
            let slot = self.slot(&rates);
            // Where a machine slept, what happened is spread over all that time. A float becomes the nearest number there is.
            let slots = (elapsed.as_secs_f64() / self.length.as_secs_f64()).round() as usize;
            self.slots.extend(std::iter::repeat_n(slot, slots.clamp(1, self.most)));
            let over = self.slots.len().saturating_sub(self.most);
            self.slots.drain(..over);
        }
        self.end = Some(time);
        self.before = Some((at, status.clone()));
    }

    fn slot(&mut self, rates: &Rates) -> Slot {
        let new: Vec<&String> = rates.jails.keys().filter(|name| !self.jails.contains(name)).collect();
        let room = JAILS - self.jails.len().min(JAILS);
        self.jails.extend(new.into_iter().take(room).cloned());
        let of = |name: &String| rates.jails.get(name).map_or(0.0, |rate| rounded(rate.dropped));
        Slot {
            dropped: rounded(rates.all.dropped),
            bans: rounded(rates.all.bans),
            failures: rounded(rates.all.failures),
            jails: self.jails.iter().map(of).collect(),
        }
    }

    /// The last so many slots.
    fn past(&self, most: usize) -> model::Past {
        let skipped = self.slots.len().saturating_sub(most);
        let slots = || self.slots.iter().skip(skipped);
        let of = |jail: usize| slots().map(move |slot| slot.jails.get(jail).copied().unwrap_or_default());
        let mut loudest: Vec<(f32, usize)> = (0..self.jails.len()).map(|jail| (of(jail).sum(), jail)).collect();
        loudest.retain(|(sum, _)| *sum > 0.0);
        loudest.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        loudest.truncate(LOUDEST);
        let jail = |(_, jail): (f32, usize)| model::JailPast {
            name: self.jails[jail].clone(),
            dropped: of(jail).collect(),
        };
        model::Past {
            slot: self.length.as_secs(),
            end: self.end,
            dropped: slots().map(|slot| slot.dropped).collect(),
            bans: slots().map(|slot| slot.bans).collect(),
            failures: slots().map(|slot| slot.failures).collect(),
            jails: loudest.into_iter().map(jail).collect(),
        }
    }
}

/// A rate as it is told: thousandths are more than anybody sees, and short to write.
fn rounded(rate: f64) -> f32 {
    ((rate * 1000.0).round() / 1000.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::samples::{NOW, jail, status};

    fn after(ticks: u64, dropped: impl Fn(u64) -> u64) -> History {
        let begun = Instant::now();
        let mut history = History::default();
        for tick in 0..=ticks {
            let status = status([jail("spam", dropped(tick)), jail("auth", 7)]);
            history.put(begun + TICK * tick as u32, NOW, &status);
        }
        history
    }

    #[test]
    fn a_slot_holds_what_happened_a_second_in_it() {
        let history = after(24, |tick| tick * 50);
        let (fine, coarse) = (history.fine.past(FINE), history.coarse.past(60));
        assert_eq!(fine.dropped, vec![10.0; 24]);
        assert_eq!(coarse.dropped, vec![10.0; 2]);
        assert_eq!((fine.slot, coarse.slot), (5, 60));
        assert_eq!(history.now().unwrap().dropped, 10.0);
        assert_eq!(history.dropped_now("spam"), Some(10.0));
        assert_eq!(history.dropped_now("auth"), Some(0.0));
        let [spam] = &fine.jails[..] else {
            panic!("those that have dropped something");
        };
        assert_eq!((spam.name.as_str(), spam.dropped.len()), ("spam", 24));
    }

    #[test]
    fn it_begins_with_nothing() {
        let history = after(0, |_| 100);
        assert!(history.now().is_none() && history.fine.past(FINE).end.is_none());
    }

    #[test]
    fn it_is_bounded_however_long_it_goes_on_and_however_many_jails_come() {
        let begun = Instant::now();
        let mut history = History::default();
        for tick in 0..2000_u32 {
            let jails: Vec<_> = (0..100).map(|n| jail(&format!("jail{n}"), tick.into())).collect();
            history.put(begun + MINUTE * tick, NOW, &status(jails));
        }
        assert_eq!((history.fine.slots.len(), history.coarse.slots.len()), (FINE, COARSE));
        assert_eq!(history.coarse.jails.len(), JAILS);
        assert_eq!(history.coarse.past(COARSE).jails.len(), LOUDEST);
    }

    #[test]
    fn a_sleep_is_spread_over_its_slots() {
        let begun = Instant::now();
        let mut history = History::default();
        history.put(begun, NOW, &status([jail("spam", 0)]));
        history.put(begun + MINUTE * 3, NOW, &status([jail("spam", 180)]));
        assert_eq!(history.coarse.past(60).dropped, vec![1.0; 3]);
    }
}
