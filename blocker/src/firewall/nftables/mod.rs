//! Sets in an nftables table of blocker's own, `inet blocker`.
//!
//! Works on every kernel with nf_tables and on every interface; a dropped packet costs one and a half times what it
//! costs with generic XDP, and three times and more what it costs with native. Each jail has a set of addresses for
//! each IP version, whose elements carry their ban's end as a timeout (`ruleset`). What a change means for the sets is
//! worked out by `plan` from the `record` of what they hold; a `transaction` brings it into the kernel over a netlink
//! `socket`. Other tables of the machine are not touched.

mod names;
mod plan;
mod record;
mod ruleset;
mod socket;
mod sys;
mod transaction;

use std::collections::HashSet;
use std::iter::Peekable;
use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use blocker_common::packet::Family;
use jiff::Timestamp;
use nftnl::MsgType;
use nix::errno::Errno;

use self::names::{FAMILIES, Names};
use self::plan::{Edit, Span, edits};
use self::record::Record;
use self::socket::{Answer, Socket};
use self::sys::{Count, Counter, Element};
use self::transaction::{Failure, Transaction};
use super::{Drops, Firewall, JailScope, Kind, Rejected};
use crate::ban::{Change, JailId};

/// The table `inet blocker`. Dropping it removes the table.
#[derive(Debug)]
pub struct Nftables {
    jails: Vec<JailScope>,
    names: Vec<Names>,
    socket: Socket,
    record: Record,
}

/// A change, and what must be done for it.
struct Step {
    /// The change's place among those applied.
    change: usize,
    address: IpAddr,
    edits: Vec<Edit>,
}

impl Nftables {
    /// Lays the table, in place of one that a killed run has left, in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// When the capability `CAP_NET_ADMIN` is missing, when the kernel has no nf_tables, when it does not take the
    /// table, and when two jails have one name.
    pub fn open(jails: &[JailScope]) -> anyhow::Result<Self> {
        let names = names::names(jails)?;
        let socket = Socket::open().map_err(|errno| explain(errno.into()))?;
        ruleset::lay(&socket, jails, &names).map_err(explain)?;
        Ok(Self {
            jails: jails.to_vec(),
            names,
            socket,
            record: Record::default(),
        })
    }

    /// Lays the table anew and fills it, if somebody else has removed it. `nft flush ruleset` does, and with it every
    /// reload of Debian's nftables service.
    fn mend(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let Some(first) = self.names.first() else { return Ok(()) };
        match self.count(first, Family::Ipv4) {
            Err(Errno::ENOENT) => {}
            found => {
                return found
                    .map(drop)
                    .context("nftables: the table inet blocker cannot be read");
            }
        }
        tracing::warn!("somebody has removed the table inet blocker; laying it again");
        ruleset::lay(&self.socket, &self.jails, &self.names).map_err(explain)?;
        let changes = std::mem::take(&mut self.record).changes(Instant::now(), now);
        for Rejected { error, .. } in self.enforce(&changes, now) {
            tracing::error!("{error:#}");
        }
        Ok(())
    }

    fn enforce(&mut self, changes: &[Change], now: Timestamp) -> Vec<Rejected> {
        let mut rejected = Vec::new();
        let mut rest = changes.iter().enumerate().peekable();
        while rest.peek().is_some() {
            let steps = self.next_steps(&mut rest, now, &mut rejected);
            self.carry_out(steps, &mut rejected);
        }
        rejected.sort_by_key(|rejected| rejected.change);
        rejected
    }

    /// As many changes as make a full transaction, at most one an address: what a second one needs depends on the
    /// first.
    fn next_steps<'a>(
        &self,
        changes: &mut Peekable<impl Iterator<Item = (usize, &'a Change)>>,
        now: Timestamp,
        rejected: &mut Vec<Rejected>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut addresses = HashSet::new();
        let mut messages = 0;
        while messages < Transaction::FULL
            && let Some((change, Change { address, bans })) =
                changes.next_if(|(_, change)| !addresses.contains(&change.address))
        {
            if let Some(ban) = bans.iter().find(|ban| self.names(ban.jail).is_none()) {
                let error = anyhow!(
                    "nftables: {address} is banned by jail {}, which there is not",
                    ban.jail.0
                );
                rejected.push(Rejected { change, error });
                continue;
            }
            let edits = edits(self.record.jails(*address), bans, now);
            if !edits.is_empty() {
                messages += edits.len() * MESSAGES;
                addresses.insert(*address);
                steps.push(Step {
                    change,
                    address: *address,
                    edits,
                });
            }
        }
        steps
    }

    /// Has the kernel carry out the steps in as few transactions as it allows, and rejects those that it refuses alone.
    fn carry_out(&mut self, steps: Vec<Step>, rejected: &mut Vec<Rejected>) {
        let mut work = vec![steps];
        while let Some(mut steps) = work.pop() {
            if steps.is_empty() {
                continue;
            }
            let at = Instant::now();
            let failure = match self.send(&steps) {
                Ok(()) => {
                    for step in steps {
                        self.record.note(step.address, &step.edits, at);
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            if let [step] = steps.as_slice() {
                let error = anyhow!("nftables: the kernel refused {}: {failure}", step.address);
                rejected.push(Rejected {
                    change: step.change,
                    error,
                });
            } else if failure.parts.is_empty() {
                work.push(steps.split_off(steps.len() / 2));
                work.push(steps);
            } else {
                let mut good = Vec::new();
                for (n, step) in steps.into_iter().enumerate() {
                    if failure.parts.contains_key(&n) {
                        work.push(vec![step]);
                    } else {
                        good.push(step);
                    }
                }
                work.push(good);
            }
        }
    }

    fn send(&self, steps: &[Step]) -> Result<(), Failure> {
        let mut transaction = Transaction::new();
        for (part, Step { address, edits, .. }) in steps.iter().enumerate() {
            for edit in edits {
                let Some(names) = self.names(edit.jail) else { continue };
                let timeout = match edit.span {
                    Span::For(left) => Some(left),
                    Span::Over | Span::Forever => None,
                };
                let element = Element {
                    set: names.of(family(*address)),
                    address: *address,
                    timeout,
                };
                // An element that is added can be removed, whether it was there or has just expired; and only one that
                // was removed gets a new timeout from every kernel.
                transaction.add(part, &element, MsgType::Add);
                transaction.add(part, &element, MsgType::Del);
                if edit.span != Span::Over {
                    transaction.add(part, &element, MsgType::Add);
                }
            }
        }
        transaction.commit(&self.socket)
    }

    fn names(&self, jail: JailId) -> Option<&Names> {
        self.names.get(usize::from(jail.0))
    }

    fn count(&self, names: &Names, family: Family) -> nix::Result<Count> {
        let request = Counter { name: names.of(family) }.request();
        for answer in self.socket.exchange([request.as_slice()])?.all {
            match answer {
                Answer::Data(message) => return Counter::parse(&message).ok_or(Errno::EBADMSG),
                Answer::Refused(_, errno) => return Err(errno),
                Answer::Done(_) => {}
            }
        }
        Err(Errno::ENOMSG)
    }
}

/// The most messages that one edit takes.
const MESSAGES: usize = 3;

fn family(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

/// Says what to do about a table that cannot be laid.
fn explain(failure: Failure) -> anyhow::Error {
    match failure.errno {
        // With a part to blame it is another reason: a table that belongs to another process.
        Errno::EPERM if failure.parts.is_empty() => {
            anyhow!("nftables needs CAP_NET_ADMIN: run as root, or give the capability to the service")
        }
        Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => {
            anyhow!("this kernel has no nf_tables: it needs CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET")
        }
        errno => anyhow!("nftables: the kernel refused the table inet blocker: {errno}"),
    }
}

impl Firewall for Nftables {
    fn kind(&self) -> Kind {
        Kind::Nftables
    }

    fn place(&self) -> String {
        "table inet blocker".to_owned()
    }

    fn apply(&mut self, changes: &[Change], now: Timestamp) -> Vec<Rejected> {
        if let Err(error) = self.mend(now) {
            let error = format!("{error:#}");
            return (0..changes.len())
                .map(|change| Rejected {
                    change,
                    error: anyhow!(error.clone()),
                })
                .collect();
        }
        self.record.sweep(Instant::now());
        self.enforce(changes, now)
    }

    fn drops(&self) -> anyhow::Result<Vec<Drops>> {
        let mut drops = Vec::new();
        for (jail, names) in (0..).map(JailId).zip(&self.names) {
            for family in FAMILIES {
                let Count { packets, bytes } = self
                    .count(names, family)
                    .with_context(|| format!("nftables: the counter {:?} cannot be read", names.of(family)))?;
                drops.push(Drops {
                    jail,
                    family,
                    packets,
                    bytes,
                });
            }
        }
        Ok(drops)
    }
}

impl Drop for Nftables {
    fn drop(&mut self) {
        if let Err(error) = ruleset::remove(&self.socket) {
            tracing::error!("the table inet blocker cannot be removed: {error}");
        }
    }
}
