//! Digests: now and then somebody is told, in one message, what has happened since the last one.
//!
//! Nothing is counted here: a digest is the difference of what the metrics have counted anyway, so a ban costs nothing more for it. Each
//! destination has a task of its own, which waits for nobody but its destination, and for that not long. What could hold up a line,
//! a ban or the agent's end may not enter.

mod deliver;
mod noted;
mod text;

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::deliver::Destination;
pub use self::noted::Digest;
use self::noted::Noted;
use crate::api::control::{Ask, Control, Search, Sort};
use crate::config::{DigestSettings, FirewallChoice, Settings};
use crate::problem::printable;

/// Banned hosts and networks that a digest names.
const LOUDEST: usize = 10;
/// Bans among which they are looked for: the kernel is asked for each.
const MOST_BY_PACKETS: u64 = 200_000;
/// How long a delivery may take, at the least and at the most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// The digests of an agent; none is sent any more without this value.
pub struct Digests {
    control: Arc<Control>,
    wanted: Option<(DigestSettings, FirewallChoice)>,
    tasks: Vec<JoinHandle<()>>,
    mail: Told,
    webhook: Told,
}

/// What a destination was told last, and since when it was told nothing; kept over reloads.
type Told = Arc<Mutex<Option<Noted>>>;

/// A banned host or network, and what it still sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loud {
    /// The host or network.
    pub address: String,
    /// The jail that has banned it.
    pub jail: String,
    /// Packets that came since then.
    pub packets: u64,
}

impl Digests {
    /// The digests of this agent, of which none is sent yet.
    #[must_use]
    pub fn new(control: Arc<Control>) -> Self {
        Self {
            control,
            wanted: None,
            tasks: Vec::new(),
            mail: Told::default(),
            webhook: Told::default(),
        }
    }

    /// Are sent so from now on.
    pub fn send_as(&mut self, settings: &Settings) {
        let wanted = (settings.digest.clone(), settings.firewall);
        if self.wanted.as_ref() == Some(&wanted) {
            return;
        }
        self.end();
        let (DigestSettings { every, mail, webhook }, firewall) = wanted.clone();
        for (told, destination) in [
            (&self.mail, mail.map(Destination::Mail)),
            (&self.webhook, webhook.map(Destination::Webhook)),
        ] {
            let Some(destination) = destination else {
                // Who is not told now hears later only of what has happened since he is told again.
                *locked(told) = None;
                continue;
            };
            locked(told).get_or_insert_with(|| Noted::first(&self.control));
            let sending = Sending {
                control: Arc::clone(&self.control),
                every,
                firewall,
                destination,
                told: Arc::clone(told),
            };
            self.tasks.push(tokio::spawn(sending.run()));
        }
        self.wanted = Some(wanted);
    }

    fn end(&mut self) {
        mem::take(&mut self.tasks).iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Digests {
    fn drop(&mut self) {
        self.end();
    }
}

/// The digests to one destination.
struct Sending {
    control: Arc<Control>,
    every: Duration,
    firewall: FirewallChoice,
    destination: Destination,
    told: Told,
}

impl Sending {
    async fn run(self) {
        let mut ticks = interval_at(Instant::now() + self.every, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.send().await;
        }
    }

    /// Tells what has happened, if anything has. What cannot be told is part of the next digest.
    async fn send(&self) {
        let Some(before) = locked(&self.told).clone() else {
            return;
        };
        let now = Noted::now(&self.control, self.firewall, &before);
        let Some(mut digest) = Digest::between(&before, &now) else {
            return;
        };
        digest.loudest = self.loudest(digest.in_force).await;
        let patience = self.every.clamp(PATIENCE.0, PATIENCE.1);
        let delivered = tokio::time::timeout(patience, self.destination.deliver(&digest)).await;
        let problem = match delivered {
            Ok(Ok(())) => {
                tracing::debug!(to = %self.destination, bans = digest.bans, "digest sent");
                *locked(&self.told) = Some(now);
                return;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("has not taken it within {} s", patience.as_secs()),
        };
        self.control.metrics.digest_errors.inc();
        if let Some(told) = locked(&self.told).as_mut() {
            told.undelivered = told.undelivered.saturating_add(1);
        }
        tracing::warn!(
            to = %self.destination,
            "a digest was not delivered, the next will have what it had: {}", printable(&problem)
        );
    }

    /// Who is banned and sends the most, where that can be had at little cost.
    async fn loudest(&self, in_force: u64) -> Vec<Loud> {
        if in_force > MOST_BY_PACKETS {
            return Vec::new();
        }
        let search = Search {
            sort: Sort::Packets,
            limit: LOUDEST,
            ..Search::default()
        };
        // A judge that is busy has better things to do.
        let Ok(found) = self.control.ask(|reply| Ask::Search(search, reply)).await else {
            return Vec::new();
        };
        let loud = found.bans.into_iter().filter_map(|ban| {
            let packets = ban.packets.filter(|packets| *packets > 0)?;
            Some(Loud {
                address: ban.address,
                jail: ban.jail,
                packets,
            })
        });
        loud.collect()
    }
}

fn locked(told: &Told) -> MutexGuard<'_, Option<Noted>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
