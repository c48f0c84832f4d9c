//! Bans that the kernel has let go at their ends, while what was counted for their hosts is still there.
//!
//! A host's next ban counts from nothing. To ask the kernel before each ban what is left of an earlier one takes it longer than the ban
//! itself, so those are kept in mind of which anything may be left, and it is taken out by and by.

use std::collections::BTreeSet;

use nftnl::MsgType;

use super::knocks;
use super::names::Names;
use super::sets::Place;
use super::socket::Socket;
use super::sys::{Element, Role};
use super::transaction::{Failure, Transaction};
use crate::ban::{JailId, Subject};

/// Bans that are over.
#[derive(Debug, Default)]
pub struct Ended(BTreeSet<(Subject, JailId)>);

impl Ended {
    /// Notes one.
    pub fn note(&mut self, subject: Subject, jail: JailId) {
        self.0.insert((subject, jail));
    }

    /// Whether something may be left of a jail's ban of this host or network.
    pub fn holds(&self, subject: Subject, jail: JailId) -> bool {
        self.0.contains(&(subject, jail))
    }

    /// Notes that nothing is left of it.
    pub fn forget(&mut self, subject: Subject, jail: JailId) {
        self.0.remove(&(subject, jail));
    }

    /// Takes out what is left of at most so many. Where the kernel does not let it, it is tried again.
    pub fn take_out(&mut self, socket: &Socket, names: &[Names], most: usize) {
        let some: Vec<_> = self.0.iter().take(most).copied().collect();
        if some.is_empty() {
            return;
        }
        match take_out(socket, names, &some) {
            Ok(()) => some.iter().for_each(|ended| {
                self.0.remove(ended);
            }),
            Err(failure) => {
                tracing::warn!(%failure, "nftables: what has been counted for bans that are over cannot be taken out; trying again");
            }
        }
    }
}

fn take_out(socket: &Socket, names: &[Names], ended: &[(Subject, JailId)]) -> Result<(), Failure> {
    let left = knocks::before(socket, names, ended.iter().copied())?;
    if left.is_empty() {
        return Ok(());
    }
    let mut transaction = Transaction::new();
    for &(subject, jail) in left.keys() {
        let Some(names) = names.get(usize::from(jail.0)) else {
            continue;
        };
        let Place { family, prefix_len, .. } = Place::of(jail, subject);
        let element = Element {
            set: &names.knocks(family, prefix_len),
            address: subject.network().addr(),
            role: Role::Member,
        };
        // One that has gone meanwhile cannot be removed, one that is added can.
        transaction.add(0, &element, MsgType::Add);
        transaction.add(0, &element, MsgType::Del);
    }
    transaction.commit(socket)
}
