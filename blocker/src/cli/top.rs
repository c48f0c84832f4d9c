//! `blocker top`: the running agent, live in the terminal.
//!
//! [`poll`] asks the agent, [`state`] makes rates and history of the answers, [`view`] draws them; [`screen`] joins the three on a terminal
//! and [`json`] without one. It looks and changes nothing, and must cost the agent next to nothing: see [`poll`].

mod history;
mod json;
mod keys;
mod poll;
mod screen;
mod state;
mod view;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use self::poll::Poller;
use self::state::State;
use super::client::{Client, Where};

/// What `top` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Seconds between two questions to the agent, from 0.5 to 60
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    place: Where,
    /// Print one JSON object each time instead; needs no terminal
    #[arg(long)]
    json: bool,
    /// With --json: end after so many of them
    #[arg(long, value_name = "N", requires = "json", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) fn top(arguments: &Arguments) -> Result<ExitCode> {
    if !arguments.json && !io::stdout().is_terminal() {
        bail!("standard output is no terminal; use `blocker status --json`, or `blocker top --json` to go on watching");
    }
    let mut poller = Poller::new(Client::new(&arguments.place)?, arguments.interval);
    let mut state = State::new(arguments.interval);
    // An agent that is not there is told of before the screen is touched.
    state.take(poller.first()?);
    if arguments.json {
        json::run(poller, state, arguments.count)
    } else {
        screen::run(poller, state)
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write seconds, as in 2 or 0.5".to_owned())?;
    if (0.5..=60.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("it is from 0.5 to 60 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_from_half_a_second_to_a_minute() {
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(interval("60"), Ok(Duration::from_secs(60)));
        for wrong in ["0.49", "60.1", "-1", "NaN", "inf", "1e99", "", "2s"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
