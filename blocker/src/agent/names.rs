//! Failures of hosts that a line names instead of giving their address: looked up on a thread of their own, so that no line waits.

use std::sync::mpsc::{Receiver, SyncSender};

use jiff::Timestamp;

use crate::ban::{Failure, JailId};
use crate::resolve::Resolver;

/// Names that may wait to be looked up; more are not, and are counted.
pub(super) const QUEUE: usize = 256;

/// A failure whose address is still to be found.
pub(super) struct Unresolved {
    pub(super) jail: JailId,
    pub(super) name: String,
    pub(super) time: Timestamp,
}

/// Looks names up until every sender is gone, or nobody wants failures any more. A host with several addresses fails with each.
pub(super) fn run(names: &Receiver<Unresolved>, failures: &SyncSender<Vec<Failure>>) {
    let mut resolver = Resolver::default();
    for Unresolved { jail, name, time } in names {
        let addresses = resolver.addresses(&name);
        let found: Vec<Failure> = addresses
            .into_iter()
            .map(|address| Failure {
                jail,
                address,
                identity: None,
                time,
            })
            .collect();
        tracing::debug!(%name, addresses = found.len(), "a host's name was looked up");
        if !found.is_empty() && failures.send(found).is_err() {
            return;
        }
    }
}
