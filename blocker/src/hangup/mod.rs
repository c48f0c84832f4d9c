//! Hanging up: the connections that a host has open when it is banned are ended on this side too.
//!
//! From the ban on the kernel drops what the host sends, its `QUIT` among it, and a mail server that talks with it would wait for its
//! next word until a timeout: Postfix for five minutes, with one of its hundred processes. So what the ban covers is ended as `ss -K`
//! ends it, with `SOCK_DESTROY` of sock_diag(7): the process here reads an error, the host gets a reset.
//!
//! Bans come in when the kernel has confirmed them, and whoever hands them over never waits. A thread of its own takes all that
//! have come together and looks once at the machine's TCP sockets for them. Whether somebody is to be banned may not enter, and nothing
//! that goes wrong here keeps a ban from being enforced.

mod covered;
mod pending;
mod sockets;
mod worker;

use std::sync::Arc;

use ipnet::IpNet;
use prometheus_client::metrics::counter::Counter;

use self::covered::Scopes;
use self::pending::Pending;
use self::worker::Worker;
use crate::ban::{Change, Scope};

/// Both ends of it: where bans are handed over, and the work that is done for them. Clones share it.
#[derive(Clone)]
pub struct Hangup {
    scopes: Arc<Scopes>,
    pending: Arc<Pending>,
}

impl Hangup {
    /// For jails with these scopes, in the order of their identities.
    #[must_use]
    pub fn new<'a>(scopes: impl Iterator<Item = &'a Scope>) -> Self {
        Self {
            scopes: Arc::new(scopes.collect()),
            pending: Arc::default(),
        }
    }

    /// Has the connections ended that these bans cover, soon. Does not wait.
    pub fn end<'a>(&self, in_force: impl Iterator<Item = &'a Change>) {
        self.pending.add(in_force);
    }

    /// Has the connections of hosts in these networks left alone from now on.
    pub fn spare(&self, networks: &[IpNet]) {
        self.pending.spare(networks.iter().copied().collect());
    }

    /// Has the work end with what there is to do now.
    pub fn close(&self) {
        self.pending.close();
    }

    /// Works until it is told to end, and counts the connections that it has ended.
    pub fn work(&self, ended: &Counter) {
        Worker::new(&self.scopes, &self.pending, ended).run();
    }
}
