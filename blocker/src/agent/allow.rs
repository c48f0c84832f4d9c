//! Keeps fresh what the allowlist's names and SPF records come to, on the runtime.
//!
//! Each is looked up again when its answer is over. Where there is no answer, what it came to last stays, over restarts too: a DNS
//! that is down must neither ban a friend nor keep the agent from banning anybody. The judge takes what has changed from
//! [`LookedUp`] when it looks there next, and so never waits.

mod kept;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, sleep_until, timeout};

use self::kept::Kept;
use crate::ban::Networks;
use crate::dns::{Dns, Found, LookupError, Source, look_up_all};

/// How long the agent's start waits for the DNS.
pub(super) const AT_START: Duration = Duration::from_secs(3);
/// Networks of one source, also where some of an answer are missing and the former ones stay.
const MAX_NETWORKS: usize = 4096;

/// Between two look-ups of one source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// At least this long, however short an answer holds.
    shortest: Duration,
    /// At most this long, however long it does.
    longest: Duration,
    /// So long after the first failure; after each further one twice as long.
    retry: Duration,
    /// Up to this.
    longest_retry: Duration,
}

pub(super) const PACE: Pace = Pace {
    shortest: Duration::from_secs(60),
    longest: Duration::from_secs(24 * 3600),
    retry: Duration::from_secs(5),
    longest_retry: Duration::from_secs(3600),
};

/// What is to be looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// For the allowlist.
    pub(super) allow: Vec<Source>,
    /// For each jail, what it ignores.
    pub(super) jails: Vec<Vec<Source>>,
}

/// What it came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// For the allowlist.
    pub(super) allow: Vec<IpNet>,
    /// For each jail.
    pub(super) jails: Vec<Vec<IpNet>>,
}

/// The newest answers, until somebody takes them.
#[derive(Clone, Debug, Default)]
pub(super) struct LookedUp(Arc<Mutex<Option<Answers>>>);

impl LookedUp {
    /// Answers that nobody has taken yet.
    pub(super) fn take(&self) -> Option<Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, answers: Answers) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answers);
    }
}

/// Looks up what the allowlist names.
pub(super) struct Refresh {
    wanted: Wanted,
    known: BTreeMap<Source, Known>,
    kept: Kept,
    pace: Pace,
    dns: fn() -> Dns,
    errors: u64,
    out: LookedUp,
}

/// What is known of a source.
struct Known {
    networks: Networks,
    /// When it is looked up.
    due: Instant,
    /// Whether a look-up has ended since the agent began.
    answered: bool,
    /// In a row.
    failures: u32,
    /// What was warned of last.
    warnings: Vec<String>,
}

impl Refresh {
    /// Begins with what was known when the last agent ended.
    pub(super) fn new(wanted: Wanted, kept: PathBuf) -> Self {
        let kept = Kept::new(kept);
        let sources = wanted.allow.iter().chain(wanted.jails.iter().flatten());
        let mut before = if sources.clone().next().is_some() {
            kept.read()
        } else {
            BTreeMap::new()
        };
        let known = sources.map(|source| {
            let known = Known {
                networks: before
                    .remove(&source.to_string())
                    .unwrap_or_default()
                    .into_iter()
                    .collect(),
                due: Instant::now(),
                answered: false,
                failures: 0,
                warnings: Vec::new(),
            };
            (source.clone(), known)
        });
        // A source that stands in several places is found the first time only.
        let mut unique = BTreeMap::new();
        for (source, known) in known {
            unique.entry(source).or_insert(known);
        }
        Self {
            known: unique,
            wanted,
            kept,
            pace: PACE,
            dns: Dns::of_the_machine,
            errors: 0,
            out: LookedUp::default(),
        }
    }

    /// Where the answers can be taken from.
    pub(super) fn looked_up(&self) -> LookedUp {
        self.out.clone()
    }

    /// Looks everything up once. What is not answered by then is what it was when the last agent ended.
    pub(super) async fn start(&mut self) -> Answers {
        let begin = Instant::now();
        let before = self.answers();
        if timeout(AT_START, self.round(begin)).await.is_err() {
            // Those not answered in time are asked for again at once.
            for known in self.known.values_mut().filter(|known| !known.answered) {
                known.due = begin;
            }
        }
        let answers = self.answers();
        if answers != before {
            self.keep();
        }
        answers
    }

    /// Looks up what is due, until it is dropped, and counts what has no answer.
    pub(super) async fn run(mut self, errors: Counter) {
        errors.inc_by(std::mem::take(&mut self.errors));
        while let Some(due) = self.known.values().map(|known| known.due).min() {
            sleep_until(due).await;
            let before = self.answers();
            self.round(Instant::now()).await;
            errors.inc_by(std::mem::take(&mut self.errors));
            let answers = self.answers();
            if answers != before {
                self.keep();
                self.out.put(answers);
            }
        }
    }

    async fn round(&mut self, now: Instant) {
        let due = self.known.iter_mut().filter(|(_, known)| known.due <= now);
        let due: Vec<Source> = due
            .map(|(source, known)| {
                // Where a look-up comes to nothing at all, it is tried again.
                known.due = now + self.pace.shortest;
                source.clone()
            })
            .collect();
        // Made anew each time, since the machine's configuration may have changed.
        look_up_all((self.dns)(), due, |source, result| self.take(&source, result)).await;
    }

    fn take(&mut self, source: &Source, result: Result<Found, LookupError>) {
        let Some(known) = self.known.get_mut(source) else {
            return;
        };
        known.answered = true;
        let missing = match result {
            Err(error) => Some(error.to_string()),
            Ok(mut found) => {
                if found.missing.is_some() {
                    found.networks.extend(known.networks.as_slice());
                    found.networks.truncate(MAX_NETWORKS);
                }
                known.networks = found.networks.into_iter().collect();
                known.due = Instant::now() + found.ttl.clamp(self.pace.shortest, self.pace.longest);
                if found.warnings != known.warnings {
                    for warning in &found.warnings {
                        // Whoever controls the record chooses these words: quoted, so that they cannot pretend to be more of the log.
                        tracing::warn!(%source, ?warning, "some of an SPF record is left out of the allowlist");
                    }
                    known.warnings = found.warnings;
                }
                found.missing
            }
        };
        let Some(error) = missing else {
            if std::mem::take(&mut known.failures) > 0 {
                tracing::info!(%source, "the allowlist's source is answered again");
            }
            return;
        };
        self.errors += 1;
        let times = 1_u32.checked_shl(known.failures).unwrap_or(u32::MAX);
        known.due = Instant::now() + self.pace.retry.saturating_mul(times).min(self.pace.longest_retry);
        known.failures = known.failures.saturating_add(1);
        if known.failures > 1 {
            return;
        }
        let networks = known.networks.as_slice().len();
        if networks == 0 {
            tracing::error!(%source, ?error, "the allowlist's source is not answered, and nothing is known of it: whom it stands for can be banned until it is");
        } else {
            tracing::warn!(%source, ?error, networks, "the allowlist's source is not answered; what it came to last stays");
        }
    }

    /// What is known now.
    pub(super) fn answers(&self) -> Answers {
        let networks = |sources: &Vec<Source>| {
            let known = sources.iter().filter_map(|source| self.known.get(source));
            let all: Networks = known
                .flat_map(|known| known.networks.as_slice().iter().copied())
                .collect();
            all.as_slice().to_vec()
        };
        Answers {
            allow: networks(&self.wanted.allow),
            jails: self.wanted.jails.iter().map(networks).collect(),
        }
    }

    fn keep(&self) {
        let known = self
            .known
            .iter()
            .map(|(source, known)| (source.to_string(), known.networks.as_slice()));
        if let Err(error) = self.kept.write(&known.collect()) {
            tracing::error!(
                error = format!("{error:#}"),
                "what the allowlist's names came to will not be known after a restart"
            );
        }
    }
}

#[cfg(test)]
mod tests;
