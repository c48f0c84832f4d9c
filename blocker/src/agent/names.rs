//! Failures of hosts that a line names instead of giving their address: looked up on a thread of their own, so that no line waits.

use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;

use super::reader::Batch;
use crate::ban::{Evidence, Failure, JailId};
use crate::resolve::Resolver;
use crate::source::watch::Stop;

/// Names that may wait to be looked up; more are not, and are counted.
pub(super) const QUEUE: usize = 256;

/// A failure whose address is still to be found.
pub(super) struct Unresolved {
    pub(super) jail: JailId,
    pub(super) name: String,
    pub(super) time: Timestamp,
    /// Whether a former agent has told of it.
    pub(super) again: bool,
    /// When its line was read.
    pub(super) read: Option<Instant>,
    /// The line that it was found in.
    pub(super) evidence: Option<Evidence>,
    /// Counts it if nobody knows the name.
    pub(super) unbannable: Counter,
}

/// Between two looks whether the agent ends: the machine's resolver cannot be broken off, and may take its time.
const LOOK: Duration = Duration::from_millis(50);

/// Looks names up, those that were `left` first, until every sender is gone, or nobody wants failures any more. A host with several
/// addresses fails with each. Gives those that are not looked up when the agent stops.
pub(super) fn run(
    left: Vec<Unresolved>,
    names: &Receiver<Unresolved>,
    failures: &SyncSender<Batch>,
    stop: &Stop,
) -> Vec<Unresolved> {
    let Ok(resolver) = Patient::start() else {
        tracing::error!("no thread can be started that looks names up");
        return Vec::new();
    };
    let mut left = left.into_iter();
    while let Some(unresolved) = left.next().or_else(|| names.recv().ok()) {
        let addresses = if stop.is_given() {
            None
        } else {
            resolver.addresses(&unresolved.name, stop)
        };
        let Some(addresses) = addresses else {
            // Whoever sends them is about to end, too.
            return [unresolved].into_iter().chain(left).chain(names.iter()).collect();
        };
        let found: Vec<Failure> = addresses
            .into_iter()
            .map(|address| Failure {
                jail: unresolved.jail,
                address,
                identity: None,
                time: unresolved.time,
                again: unresolved.again,
                read: unresolved.read,
                evidence: unresolved.evidence.clone(),
            })
            .collect();
        // The name is the client's own word: quoted, so that it cannot pretend to be more of the log.
        tracing::debug!(name = ?unresolved.name, addresses = found.len(), "a host's name was looked up");
        if found.is_empty() {
            unresolved.unbannable.inc_by(u64::from(!unresolved.again));
        } else if failures.send(Batch::of(found)).is_err() {
            return Vec::new();
        }
    }
    Vec::new()
}

/// The machine's resolver on a thread that nobody waits for: it ends after the question that it is at.
struct Patient {
    ask: Sender<String>,
    answers: Receiver<Vec<IpAddr>>,
}

impl Patient {
    fn start() -> io::Result<Self> {
        let (ask, asked) = channel::<String>();
        let (answer, answers) = channel();
        thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            let mut resolver = Resolver::default();
            for name in asked {
                if answer.send(resolver.addresses(&name)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ask, answers })
    }

    /// The addresses of a host; nothing where the agent stops before they are known.
    fn addresses(&self, name: &str, stop: &Stop) -> Option<Vec<IpAddr>> {
        self.ask.send(name.to_owned()).ok()?;
        loop {
            match self.answers.recv_timeout(LOOK) {
                Ok(addresses) => return Some(addresses),
                Err(RecvTimeoutError::Timeout) if !stop.is_given() => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_host_whose_name_nobody_knows_counts_as_one_that_cannot_be_banned() {
        let (queue, names) = sync_channel(2);
        let (failures, judged) = sync_channel(2);
        let unbannable = Counter::default();
        // Names for which nobody is asked.
        for name in ["localhost", "relay.017"] {
            let unresolved = Unresolved {
                jail: JailId(0),
                name: name.to_owned(),
                time: Timestamp::UNIX_EPOCH,
                again: false,
                read: None,
                evidence: None,
                unbannable: unbannable.clone(),
            };
            assert!(queue.send(unresolved).is_ok());
        }
        drop(queue);
        let left = run(Vec::new(), &names, &failures, &Stop::new().unwrap());
        assert!(left.is_empty());
        assert_eq!(unbannable.get(), 2);
        assert!(judged.try_recv().is_err());
    }

    #[test]
    fn names_that_are_not_looked_up_when_the_agent_stops_are_given_back() {
        let (queue, names) = sync_channel(2);
        let (failures, _judged) = sync_channel(2);
        let unresolved = |name: &str| Unresolved {
            jail: JailId(0),
            name: name.to_owned(),
            time: Timestamp::UNIX_EPOCH,
            again: false,
            read: None,
            evidence: None,
            unbannable: Counter::default(),
        };
        assert!(queue.send(unresolved("b.example")).is_ok());
        drop(queue);
        let stop = Stop::new().unwrap();
        stop.stop();
        let left = run(vec![unresolved("a.example")], &names, &failures, &stop);
        let left: Vec<String> = left.into_iter().map(|left| left.name).collect();
        assert_eq!(left, ["a.example", "b.example"]);
    }
}
