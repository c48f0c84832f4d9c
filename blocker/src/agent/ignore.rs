//! Asks jails' `ignorecommand`s about hosts, between those who find failures and the judge.
//!
//! A failure of a host that its jail's command was asked about lately goes on, or ends, at once. Any other waits for the command's word
//! here, so that the judge never waits. Whoever might be exempt is not banned: where commands do not keep up with new hosts,
//! failures are dropped and counted.

mod run;

use std::collections::hash_map::{Entry, HashMap};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lru::LruCache;
use prometheus_client::metrics::counter::Counter;

use self::run::{Outcome, run};
use super::reader::Batch;
use crate::ban::Failure;
use crate::jail::ignore_command::IgnoreCommand;
use crate::source::watch::Stop;

/// Commands that run at a time.
const AT_A_TIME: usize = 4;
/// Hosts that may wait for one.
const MAX_WAITING: usize = 1000;
/// Failures of one host that may wait with it.
const MAX_FAILURES: usize = 100;
/// Those of them, the latest, whose lines are kept for whoever asks why the host is banned.
const MAX_EVIDENCE: usize = 10;
/// A command that has failed is asked again after this, even where its word holds for longer.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Between two complaints.
const COMPLAIN: Duration = Duration::from_secs(60);

/// A jail as far as it is asked about hosts.
pub(super) struct Asking {
    pub(super) name: String,
    /// None where all its failures go on.
    pub(super) command: Option<IgnoreCommand>,
    /// Counts failures that were dropped.
    pub(super) unasked: Counter,
}

/// The stage.
pub(super) struct Ignore {
    shared: Arc<Shared>,
    out: SyncSender<Batch>,
    stop: Stop,
}

struct Shared {
    jails: Vec<Asking>,
    state: Mutex<State>,
}

struct State {
    /// What the commands of each jail have said, and until when that holds.
    said: Vec<Option<LruCache<IpAddr, (bool, Instant)>>>,
    /// Failures of hosts that are being asked about.
    waiting: HashMap<Host, Vec<Failure>>,
    complained: Option<Instant>,
}

/// A jail's index, and an address.
type Host = (usize, IpAddr);

impl Ignore {
    /// A stage that hands failures on to `out`.
    pub(super) fn new(jails: Vec<Asking>, out: SyncSender<Batch>, stop: Stop) -> Self {
        let cache = |jail: &Asking| {
            let count = NonZeroUsize::new(jail.command.as_ref()?.max_count)?;
            Some(LruCache::new(count))
        };
        let state = State {
            said: jails.iter().map(cache).collect(),
            waiting: HashMap::new(),
            complained: None,
        };
        Self {
            shared: Arc::new(Shared {
                jails,
                state: Mutex::new(state),
            }),
            out,
            stop,
        }
    }

    /// Works until every sender of failures is gone, and gives those that still wait then.
    pub(super) fn run(self, batches: &Receiver<Batch>) -> Vec<Failure> {
        let (ask, asked) = sync_channel(MAX_WAITING);
        let asked = Arc::new(Mutex::new(asked));
        let workers: Vec<JoinHandle<()>> = (0..AT_A_TIME)
            .map_while(|_| {
                let (shared, asked, out, stop) = (
                    Arc::clone(&self.shared),
                    Arc::clone(&asked),
                    self.out.clone(),
                    self.stop.clone(),
                );
                let worker = move || work(&shared, &asked, &out, &stop);
                thread::Builder::new()
                    .name("ignorecommand".to_owned())
                    .spawn(worker)
                    .ok()
            })
            .collect();
        if workers.is_empty() {
            tracing::error!("no thread can be started that runs ignorecommands");
            return Vec::new();
        }
        for Batch { failures, read } in batches {
            let now = Instant::now();
            let through = failures
                .into_iter()
                .filter_map(|failure| self.shared.sort(failure, &ask, now));
            let through = Batch {
                failures: through.collect(),
                read,
            };
            if !through.is_empty() && self.out.send(through).is_err() {
                break;
            }
        }
        drop(ask);
        for worker in workers {
            // A panic has shown already.
            let _ = worker.join();
        }
        let waiting = std::mem::take(&mut self.shared.state().waiting);
        waiting.into_values().flatten().collect()
    }
}

impl Shared {
    /// Gives a failure back that goes on at once.
    fn sort(&self, failure: Failure, ask: &SyncSender<Host>, now: Instant) -> Option<Failure> {
        let jail = usize::from(failure.jail.0);
        let host = (jail, failure.address.to_canonical());
        let mut state = self.state();
        let Some(Some(said)) = state.said.get_mut(jail) else {
            return Some(failure);
        };
        if let Some((ignored, until)) = said.get(&host.1)
            && now < *until
        {
            return (!ignored).then_some(failure);
        }
        match state.waiting.entry(host) {
            Entry::Occupied(waiting) if waiting.get().len() < MAX_FAILURES => {
                let waiting = waiting.into_mut();
                waiting.push(failure);
                if let Some(earlier) = waiting.len().checked_sub(MAX_EVIDENCE + 1) {
                    waiting[earlier].evidence = None;
                }
            }
            // More would change nothing for that host.
            Entry::Occupied(_) => self.drop_one(jail),
            Entry::Vacant(new) => match ask.try_send(host) {
                Ok(()) => {
                    new.insert(vec![failure]);
                }
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    self.drop_one(jail);
                    if state.complains(now) {
                        tracing::error!(
                            jail = %self.jails[jail].name,
                            "the ignorecommand is slower than new hosts come; failures are dropped, since it might exempt them"
                        );
                    }
                }
            },
        }
        None
    }

    fn drop_one(&self, jail: usize) {
        self.jails[jail].unasked.inc();
    }

    /// Takes note of what a command has said, and gives the failures that waited for it.
    fn answer(&self, host: Host, ignored: bool, until: Instant) -> Vec<Failure> {
        let mut state = self.state();
        if let Some(Some(said)) = state.said.get_mut(host.0) {
            said.put(host.1, (ignored, until));
        }
        state.waiting.remove(&host).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn complains(&mut self, now: Instant) -> bool {
        let complains = self.complained.is_none_or(|last| now.duration_since(last) >= COMPLAIN);
        if complains {
            self.complained = Some(now);
        }
        complains
    }
}

/// Runs commands until nobody asks for any more, or the agent stops.
fn work(shared: &Shared, asked: &Mutex<Receiver<Host>>, out: &SyncSender<Batch>, stop: &Stop) {
    loop {
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(host) = next else { return };
        let (jail, address) = host;
        let Some(command) = &shared.jails[jail].command else {
            continue;
        };
        let line = command.line(address);
        let outcome = run(&line, stop);
        let now = Instant::now();
        let (ignored, holds) = match &outcome {
            Outcome::Stopped => return,
            Outcome::Yes => (true, command.max_time),
            Outcome::No => (false, command.max_time),
            // As fail2ban has it: what cannot say yes has not said it.
            Outcome::Failed(error) => {
                if shared.state().complains(now) {
                    tracing::error!(jail = %shared.jails[jail].name, command = %line, %error, "the ignorecommand fails, and so exempts nobody");
                }
                (false, command.max_time.min(AFTER_FAILURE))
            }
        };
        tracing::debug!(jail = %shared.jails[jail].name, %address, ignored, "the ignorecommand was asked");
        let failures = shared.answer(host, ignored, now + holds);
        if !ignored && !failures.is_empty() && out.send(Batch::of(failures)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
