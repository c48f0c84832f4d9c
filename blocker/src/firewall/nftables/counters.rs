//! The table's counters, read over a socket of their own: a transaction on the other one holds nobody up.

use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use blocker_common::map::Outcome;
use blocker_common::packet::Family;
use nix::errno::Errno;

use super::names::Names;
use super::socket::{Answer, Socket};
use super::sys::{Count, Counter};
use crate::ban::JailId;
use crate::firewall::view::Counts;
use crate::firewall::{Counted, Kind};

/// The counters of all jails.
#[derive(Debug)]
pub(super) struct Counters {
    socket: Mutex<Socket>,
    names: Vec<Names>,
}

impl Counters {
    /// Opens the socket, in the network namespace of the calling thread.
    pub(super) fn open(names: Vec<Names>) -> nix::Result<Self> {
        Ok(Self {
            socket: Mutex::new(Socket::open()?),
            names,
        })
    }
}

impl Counts for Counters {
    fn read(&self) -> anyhow::Result<Vec<Counted>> {
        // Held by nobody for longer than this takes; what an exchange that broke off has left, the next one throws away.
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::with_capacity(self.names.len() * Family::ALL.len() * Outcome::ALL.len());
        for (jail, names) in (0..).map(JailId).zip(&self.names) {
            for family in Family::ALL {
                for outcome in Outcome::ALL {
                    let name = names.counter(family, outcome);
                    let count = count(&socket, &name)
                        .with_context(|| format!("nftables: the counter {name:?} cannot be read"))?;
                    all.push(Counted {
                        firewall: Kind::Nftables,
                        jail,
                        family,
                        outcome,
                        packets: count.packets,
                        bytes: count.bytes,
                    });
                }
            }
        }
        Ok(all)
    }
}

/// What one counter of the table says.
pub(super) fn count(socket: &Socket, name: &CStr) -> nix::Result<Count> {
    let request = Counter::of(name).request();
    for answer in socket.exchange([request.as_slice()])?.all {
        match answer {
            Answer::Data(message) => return Counter::parse(&message).ok_or(Errno::EBADMSG),
            Answer::Refused(_, errno) => return Err(errno),
            Answer::Done(_) => {}
        }
    }
    Err(Errno::ENOMSG)
}
