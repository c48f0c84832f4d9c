//! What is known of the agent: the last answers, rates and their history, and what somebody at the keys has chosen.
//!
//! It takes answers and keys, and knows neither socket nor terminal.

use std::time::{Duration, Instant};

use super::history::History;
use super::keys::Action;
use super::poll::{Answer, News, Order, Wish};
use crate::api::model::{Ban, Status};
use crate::api::rates::Rates;

/// What is known of the agent.
#[derive(Debug)]
pub(super) struct State {
    /// How often it is asked.
    pub(super) interval: Duration,
    /// How it was, and when it said so.
    pub(super) status: Option<(Instant, Status)>,
    /// What happened a second before that.
    pub(super) rates: Option<Rates>,
    /// Packets dropped a second.
    pub(super) drops: History,
    /// Bans made a minute.
    pub(super) bans: History,
    /// The order of the hosts that are known.
    pub(super) order: Order,
    /// Banned hosts, in that order.
    pub(super) hosts: Bans,
    /// The latest bans.
    pub(super) latest: Bans,
    /// Since when it cannot be asked, and why.
    pub(super) gone: Option<(Instant, String)>,
    /// What somebody has chosen.
    pub(super) chosen: Chosen,
}

/// Some bans, as they were told.
#[derive(Debug, Default)]
pub(super) struct Bans {
    /// The bans.
    pub(super) bans: Vec<Ban>,
    /// When they were told.
    pub(super) at: Option<Instant>,
    /// Why the last question about them was not answered.
    pub(super) error: Option<String>,
}

/// What somebody at the keys has chosen.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The order of hosts.
    pub(super) order: Order,
    /// Hosts that are scrolled past.
    pub(super) scrolled: usize,
    /// Hosts that there is room for on the screen, as it was drawn last.
    pub(super) rows: usize,
    /// Whether all stands still.
    pub(super) paused: bool,
    /// Whether the keys are shown.
    pub(super) help: bool,
}

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing but what is drawn.
    Draw,
    /// The poller is to hear of it.
    Tell(Wish),
    /// It ends.
    End,
}

impl State {
    /// Nothing is known yet.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            status: None,
            rates: None,
            drops: History::new(interval),
            bans: History::new(interval),
            order: Order::default(),
            hosts: Bans::default(),
            latest: Bans::default(),
            gone: None,
            chosen: Chosen::default(),
        }
    }

    /// Takes what the agent has said.
    pub(super) fn take(&mut self, news: News) {
        let at = news.at;
        match news.answer {
            Answer::Status(Ok(status)) => {
                self.gone = None;
                self.rates = self.status.as_ref().and_then(|(before_at, before)| {
                    Rates::between(before, &status, at.saturating_duration_since(*before_at))
                });
                self.status = Some((at, status));
                self.note(at);
            }
            Answer::Status(Err(error)) => {
                let since = self.gone.take().map_or(at, |(since, _)| since);
                self.gone = Some((since, format!("{error:#}")));
                self.rates = None;
                self.note(at);
            }
            Answer::Hosts(order, answer) => {
                if answer.is_ok() {
                    self.order = order;
                }
                self.hosts.take(at, answer);
                self.scroll(0);
            }
            Answer::Latest(answer) => self.latest.take(at, answer),
        }
    }

    fn note(&mut self, at: Instant) {
        let all = self.rates.as_ref().map(|rates| rates.all);
        self.drops.put(at, all.map(|all| all.dropped));
        self.bans.put(at, all.map(|all| all.bans * 60.0));
    }

    /// Does what somebody at the keys asks for.
    pub(super) fn heed(&mut self, action: Action) -> Then {
        let page = self.chosen.rows.max(1).cast_signed();
        match action {
            Action::Quit => return Then::End,
            Action::Back if self.chosen.help => self.chosen.help = false,
            Action::Back => return Then::End,
            Action::Up => self.scroll(-1),
            Action::Down => self.scroll(1),
            Action::PageUp => self.scroll(-page),
            Action::PageDown => self.scroll(page),
            Action::First => self.scroll(isize::MIN),
            Action::Last => self.scroll(isize::MAX),
            Action::Order => {
                self.chosen.order = self.chosen.order.next();
                self.chosen.scrolled = 0;
                return Then::Tell(Wish::Order(self.chosen.order));
            }
            Action::Pause => {
                self.chosen.paused = !self.chosen.paused;
                return Then::Tell(Wish::Pause(self.chosen.paused));
            }
            Action::Help => self.chosen.help = !self.chosen.help,
            Action::Draw => {}
        }
        Then::Draw
    }

    /// Scrolls the hosts by so many, as far as there are any.
    fn scroll(&mut self, by: isize) {
        let most = self.hosts.bans.len().saturating_sub(self.chosen.rows.max(1));
        self.chosen.scrolled = self.chosen.scrolled.saturating_add_signed(by).min(most);
    }
}

impl Bans {
    fn take(&mut self, at: Instant, answer: anyhow::Result<Vec<Ban>>) {
        match answer {
            Ok(bans) => {
                *self = Self {
                    bans,
                    at: Some(at),
                    error: None,
                }
            }
            Err(error) => self.error = Some(format!("{error:#}")),
        }
    }
}

/// Statuses and bans to try things with.
#[cfg(test)]
pub(super) mod samples;

#[cfg(test)]
mod tests {
    use super::samples::{bans, jail, news, status};
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2);

    #[test]
    fn two_statuses_make_a_rate_and_a_place_in_the_history() {
        let began = Instant::now();
        let mut state = State::new(INTERVAL);
        state.take(news(began, Answer::Status(Ok(status([jail("spam", 100)])))));
        assert_eq!(state.rates, None);
        state.take(news(began + INTERVAL, Answer::Status(Ok(status([jail("spam", 300)])))));
        assert_eq!(state.rates.as_ref().unwrap().all.dropped, 100.0);
        let drops: Vec<_> = state.drops.latest_first().collect();
        assert_eq!(drops, [Some(100.0), None]);
    }

    #[test]
    fn an_agent_that_goes_and_comes_back_leaves_a_gap_and_no_peak() {
        let began = Instant::now();
        let mut state = State::new(INTERVAL);
        let mut answers: Vec<anyhow::Result<Status>> = Vec::new();
        answers.extend([10, 20].map(|dropped| Ok(status([jail("spam", dropped)]))));
        answers.push(Err(anyhow::anyhow!("no agent runs here")));
        let mut next = status([jail("spam", 1_000_000)]);
        next.pid += 1;
        answers.push(Ok(next));
        for (n, answer) in (0..).zip(answers) {
            let is_gone = answer.is_err();
            state.take(news(began + INTERVAL * n, Answer::Status(answer)));
            assert_eq!(state.gone.is_some(), is_gone);
        }
        let drops: Vec<_> = state.drops.latest_first().collect();
        assert_eq!(drops, [None, None, Some(5.0), None]);
    }

    #[test]
    fn while_the_agent_is_gone_it_is_known_since_when_and_how_it_was() {
        let began = Instant::now();
        let mut state = State::new(INTERVAL);
        state.take(news(began, Answer::Status(Ok(status([jail("spam", 1)])))));
        for n in 1..4 {
            let gone = Answer::Status(Err(anyhow::anyhow!("no agent runs here")));
            state.take(news(began + INTERVAL * n, gone));
        }
        assert_eq!(state.gone.as_ref().unwrap().0, began + INTERVAL);
        assert!(state.status.is_some());
    }

    #[test]
    fn scrolling_ends_where_the_hosts_end() {
        let mut state = State::new(INTERVAL);
        state.chosen.rows = 6;
        state.take(news(Instant::now(), Answer::Hosts(Order::Loudest, Ok(bans(10)))));
        assert_eq!(state.heed(Action::Up), Then::Draw);
        assert_eq!(state.chosen.scrolled, 0);
        state.heed(Action::Down);
        assert_eq!(state.chosen.scrolled, 1);
        state.heed(Action::PageDown);
        assert_eq!(state.chosen.scrolled, 4);
        state.take(news(Instant::now(), Answer::Hosts(Order::Loudest, Ok(bans(7)))));
        assert_eq!(state.chosen.scrolled, 1, "hosts that are fewer now");
        state.heed(Action::Last);
        state.heed(Action::First);
        assert_eq!(state.chosen.scrolled, 0);
    }

    #[test]
    fn an_answer_that_fails_leaves_the_hosts_that_are_known() {
        let mut state = State::new(INTERVAL);
        state.take(news(Instant::now(), Answer::Hosts(Order::Loudest, Ok(bans(2)))));
        let busy = Answer::Hosts(Order::Latest, Err(anyhow::anyhow!("the agent is busy")));
        state.take(news(Instant::now(), busy));
        assert_eq!((state.hosts.bans.len(), state.order), (2, Order::Loudest));
        assert_eq!(state.hosts.error.as_deref(), Some("the agent is busy"));
    }

    #[test]
    fn escape_leaves_the_keys_first_and_then_the_program() {
        let mut state = State::new(INTERVAL);
        state.heed(Action::Help);
        assert_eq!(state.heed(Action::Back), Then::Draw);
        assert_eq!(state.heed(Action::Back), Then::End);
        assert_eq!(state.heed(Action::Pause), Then::Tell(Wish::Pause(true)));
        assert_eq!(state.heed(Action::Order), Then::Tell(Wish::Order(Order::Latest)));
    }
}
