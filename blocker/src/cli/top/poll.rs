//! Asks the agent, gently.
//!
//! A status costs the agent next to nothing. Bans are found by its judge, who goes through all of them and bans nobody meanwhile: only
//! the first few are asked for, and after each answer the question rests for twenty times as long as it took.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::sync::mpsc::Sender;

use crate::api::model::{Ban, Status};
use crate::cli::client::Client;

/// Hosts in the table.
pub(super) const HOSTS: usize = 100;
/// The latest bans.
pub(super) const LATEST: usize = 50;
/// How many times as long as an answer took its question rests.
const REST: u32 = 20;
/// No question is asked more often, whatever key somebody holds down.
const LEAST: Duration = Duration::from_millis(250);
/// Where nothing is to be asked, until somebody wishes something.
const NEVER: Duration = Duration::from_secs(3600);

/// In which order the hosts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Who sends the most packets first.
    #[default]
    Loudest,
    /// Who was banned last first.
    Latest,
    /// Whose ban ends first, first.
    Ending,
}

impl Order {
    /// The one after it.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Loudest => Self::Latest,
            Self::Latest => Self::Ending,
            Self::Ending => Self::Loudest,
        }
    }

    const fn sort(self) -> &'static str {
        match self {
            Self::Loudest => "packets",
            Self::Latest => "since",
            Self::Ending => "until",
        }
    }
}

/// What the agent has said, and when the answer was there.
#[derive(Debug)]
pub(super) struct News {
    pub(super) at: Instant,
    pub(super) answer: Answer,
}

/// What it was asked, and has said.
#[derive(Debug)]
pub(super) enum Answer {
    /// How it is.
    Status(Result<Status>),
    /// The first of the banned hosts in an order.
    Hosts(Order, Result<Vec<Ban>>),
    /// The latest bans.
    Latest(Result<Vec<Ban>>),
}

/// What somebody at the keys wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Hosts in this order.
    Order(Order),
    /// That nothing is asked, or that it is again.
    Pause(bool),
}

/// Asks the agent what is due.
pub(super) struct Poller {
    client: Client,
    status: Turn,
    hosts: Turn,
    latest: Turn,
    order: Order,
    paused: bool,
    /// Whether the last question about its status was answered: one that is gone is asked nothing else.
    is_there: bool,
}

impl Poller {
    /// Asks by this client, each question so often at most.
    pub(super) fn new(client: Client, interval: Duration) -> Self {
        let turn = Turn::new(interval, Instant::now());
        Self {
            client,
            status: turn,
            hosts: turn,
            latest: turn,
            order: Order::default(),
            paused: false,
            is_there: false,
        }
    }

    /// How the agent is, or why it cannot be asked.
    pub(super) fn first(&mut self) -> Result<News> {
        let status = self.ask_status()?;
        Ok(told(Answer::Status(Ok(status))))
    }

    /// How the agent is when its turn comes, which is waited for.
    pub(super) fn next_status(&mut self) -> News {
        std::thread::sleep(self.status.due.saturating_duration_since(Instant::now()));
        told(Answer::Status(self.ask_status()))
    }

    /// Asks one thing that is due, if anything is.
    fn ask(&mut self) -> Option<News> {
        if self.paused {
            return None;
        }
        if self.status.due <= Instant::now() {
            return Some(told(Answer::Status(self.ask_status())));
        }
        self.ask_bans()
    }

    /// Asks for bans, if that is due.
    pub(super) fn ask_bans(&mut self) -> Option<News> {
        let now = Instant::now();
        if !self.is_there {
            return None;
        }
        if self.hosts.is_due(now) {
            let order = self.order;
            let hosts = self.bans(order.sort(), HOSTS);
            self.hosts.answered(now, Instant::now());
            return Some(told(Answer::Hosts(order, hosts)));
        }
        if self.latest.is_due(now) {
            let latest = self.bans(Order::Latest.sort(), LATEST);
            self.latest.answered(now, Instant::now());
            return Some(told(Answer::Latest(latest)));
        }
        None
    }

    /// How long there is nothing to ask.
    fn wait(&self) -> Duration {
        if self.paused {
            return NEVER;
        }
        let bans = self.hosts.due.min(self.latest.due);
        let due = if self.is_there {
            bans.min(self.status.due)
        } else {
            self.status.due
        };
        due.saturating_duration_since(Instant::now())
    }

    /// Asks on, until nobody takes the news any more.
    pub(super) fn run(mut self, wishes: &Receiver<Wish>, news: &Sender<News>) {
        loop {
            let asked = self.ask();
            let wait = if asked.is_some() { Duration::ZERO } else { self.wait() };
            if let Some(asked) = asked
                && news.blocking_send(asked).is_err()
            {
                return;
            }
            match wishes.recv_timeout(wait) {
                Ok(wish) => self.heed(wish),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn heed(&mut self, wish: Wish) {
        match wish {
            Wish::Order(order) => {
                self.order = order;
                self.hosts.hasten();
            }
            Wish::Pause(paused) => self.paused = paused,
        }
    }

    fn ask_status(&mut self) -> Result<Status> {
        let asked = Instant::now();
        let status = self.client.get("/v1/status", &[]);
        self.status.answered(asked, Instant::now());
        self.is_there = status.is_ok();
        status
    }

    fn bans(&self, sort: &str, limit: usize) -> Result<Vec<Ban>> {
        let query = [("sort", sort.to_owned()), ("limit", limit.to_string())];
        let mut bans = Vec::new();
        self.client.lines("/v1/bans", &query, |line| {
            bans.push(serde_json::from_str(line).context("the agent's answer is not understood")?);
            Ok(bans.len() < limit)
        })?;
        Ok(bans)
    }
}

fn told(answer: Answer) -> News {
    News {
        at: Instant::now(),
        answer,
    }
}

/// When a question may be asked.
#[derive(Clone, Copy, Debug)]
struct Turn {
    interval: Duration,
    /// When it is asked next.
    due: Instant,
    /// From when on it may be, where somebody waits for the answer.
    rested: Instant,
}

impl Turn {
    const fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            due: now,
            rested: now,
        }
    }

    /// Whether it may be asked; a little early, so that bans are asked for together with the status, and not an interval late.
    fn is_due(&self, now: Instant) -> bool {
        self.rested <= now && self.due <= now + self.interval / 4
    }

    /// It was asked and answered then.
    fn answered(&mut self, asked: Instant, answered: Instant) {
        let rest = answered.saturating_duration_since(asked).saturating_mul(REST);
        self.rested = answered + rest.max(LEAST);
        self.due = answered + rest.max(self.interval);
    }

    /// Somebody waits for the answer.
    fn hasten(&mut self) {
        self.due = self.due.min(self.rested);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2);

    fn after_an_answer_of(milliseconds: u64) -> (Turn, Instant) {
        let asked = Instant::now();
        let answered = asked + Duration::from_millis(milliseconds);
        let mut turn = Turn::new(INTERVAL, asked);
        turn.answered(asked, answered);
        (turn, answered)
    }

    #[test]
    fn a_question_that_was_answered_fast_is_asked_again_after_the_interval() {
        let (turn, answered) = after_an_answer_of(5);
        assert_eq!(turn.due - answered, INTERVAL);
    }

    #[test]
    fn bans_are_asked_for_together_with_the_status_and_never_before_they_have_rested() {
        let (turn, answered) = after_an_answer_of(20);
        assert!(turn.is_due(answered + INTERVAL - Duration::from_millis(20)));
        assert!(!turn.is_due(answered + INTERVAL / 2));
        let (turn, answered) = after_an_answer_of(100);
        assert!(!turn.is_due(answered + INTERVAL - Duration::from_millis(20)));
    }

    #[test]
    fn a_question_that_took_long_rests_twenty_times_as_long_also_when_somebody_waits() {
        let (mut turn, answered) = after_an_answer_of(1500);
        assert_eq!(turn.due - answered, Duration::from_secs(30));
        turn.hasten();
        assert_eq!(turn.due - answered, Duration::from_secs(30));
    }

    #[test]
    fn whoever_waits_has_the_answer_soon_and_not_at_each_key() {
        let (mut turn, answered) = after_an_answer_of(5);
        turn.hasten();
        assert_eq!(turn.due - answered, LEAST);
    }

    #[test]
    fn the_orders_come_around() {
        let mut order = Order::default();
        for _ in 0..3 {
            order = order.next();
        }
        assert_eq!(order, Order::default());
    }
}
