//! The same without a terminal: one JSON object each time.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::poll::Poller;
use super::state::{Bans, State};
use crate::api::model::{Ban, Status};
use crate::api::rates::Rates;
use crate::cli::{json, written};

/// What is known after the agent was asked.
#[derive(Serialize)]
struct Known<'a> {
    time: Timestamp,
    /// Why the agent could not be asked.
    error: Option<&'a str>,
    status: Option<&'a Status>,
    /// None the first time, and where the agent is another one.
    rates: Option<&'a Rates>,
    loudest: &'a [Ban],
    /// How old they are: they are asked for less often where that costs the agent much.
    loudest_age_seconds: Option<f64>,
    latest: &'a [Ban],
    latest_age_seconds: Option<f64>,
}

pub(super) fn run(mut poller: Poller, mut state: State, count: Option<u64>) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut left = count.unwrap_or(u64::MAX);
    loop {
        // A status is there; bans that are due come with it.
        while let Some(news) = poller.ask_bans() {
            state.take(news);
        }
        let line = json::line(&known(&state))?;
        if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
            return written(Err(error));
        }
        left -= 1;
        if left == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        state.take(poller.next_status());
    }
}

fn known(state: &State) -> Known<'_> {
    let age = |bans: &Bans| {
        bans.at
            .map(|at| Instant::now().saturating_duration_since(at).as_secs_f64())
    };
    Known {
        time: Timestamp::now(),
        error: state.gone.as_ref().map(|(_, error)| error.as_str()),
        status: state
            .status
            .as_ref()
            .filter(|_| state.gone.is_none())
            .map(|(_, status)| status),
        rates: state.rates.as_ref(),
        loudest: &state.hosts.bans,
        loudest_age_seconds: age(&state.hosts),
        latest: &state.latest.bans,
        latest_age_seconds: age(&state.latest),
    }
}
