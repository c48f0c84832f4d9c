//! Failures of hosts that a line names instead of giving their address: looked up on a thread of their own, so that no line waits.

use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;

use super::reader::Batch;
use crate::ban::{Failure, JailId};
use crate::resolve::Resolver;

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
    /// Counts it if nobody knows the name.
    pub(super) unbannable: Counter,
}

/// Looks names up until every sender is gone, or nobody wants failures any more. A host with several addresses fails with each.
pub(super) fn run(names: &Receiver<Unresolved>, failures: &SyncSender<Batch>) {
    let mut resolver = Resolver::default();
    for unresolved in names {
        let Unresolved {
            jail,
            name,
            time,
            again,
            read,
            unbannable,
        } = unresolved;
        let addresses = resolver.addresses(&name);
        let found: Vec<Failure> = addresses
            .into_iter()
            .map(|address| Failure {
                jail,
                address,
                identity: None,
                time,
                again,
                read,
            })
            .collect();
        // The name is the client's own word: quoted, so that it cannot pretend to be more of the log.
        tracing::debug!(?name, addresses = found.len(), "a host's name was looked up");
        if found.is_empty() {
            unbannable.inc_by(u64::from(!again));
        } else if failures.send(Batch::of(found)).is_err() {
            return;
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
                unbannable: unbannable.clone(),
            };
            assert!(queue.send(unresolved).is_ok());
        }
        drop(queue);
        run(&names, &failures);
        assert_eq!(unbannable.get(), 2);
        assert!(judged.try_recv().is_err());
    }
}
