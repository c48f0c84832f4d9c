//! Sets in an nftables table of blocker's own, `inet blocker`.
//!
//! Works on every kernel with nf_tables and on every interface; a dropped packet costs one and a half times what it
//! costs with generic XDP, and three times and more what it costs with native.
//!
//! Each jail has a hash set for each length of prefix that it bans by (`sets`), whose elements carry their ban's end as a
//! timeout; a packet's source is looked up with its bits behind the prefix masked. The nftables way to hold networks would
//! be an interval set, but that refuses networks that lie within one another, and a jail may ban 10.0.0.0/8 until tonight
//! and 10.1.0.0/16 until tomorrow; and a look-up in it costs more than twice what it costs in a hash (100,000 of each). A
//! jail bans by few lengths, and each more costs one look-up. The sets for hosts and for IPv6's /64 are there from the
//! start, others come with the first ban that needs them and stay with the table.
//!
//! The table is laid by `ruleset`, from the conditions in `rule`, and packets enter it by a `hook`. `bans` brings changes into the sets: what one means for
//! them is worked out by `plan` from the `record` of what they hold; a `transaction` brings it into the kernel over a
//! netlink `socket`. `allowed` does the same for the allowlist. What the kernel really holds is read by `held`, for `compare` and
//! for `knocks`. Other tables of the machine are not touched.

mod allowed;
mod bans;
mod compare;
mod counters;
mod ended;
mod held;
mod hook;
mod knocks;
mod lay;
mod names;
mod plan;
mod record;
mod rule;
mod ruleset;
mod sets;
mod socket;
mod sys;
mod transaction;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use blocker_common::packet::Family;
use ipnet::IpNet;
use jiff::Timestamp;
use nix::errno::Errno;

use self::allowed::Interval;
use self::bans::Bans;
use self::counters::{Counters, count};
use self::held::Held;
pub use self::hook::Hook;
use self::lay::{Look, State};
use self::names::Names;
use self::sets::Place;
use self::socket::Socket;
use self::transaction::{Failure, Transaction};
use super::view::{Entries, Map, View};
use super::{Coverage, CoveredBy, Firewall, InForce, Inherited, JailScope, Kind, Knocks, Rejected};
use crate::ban::{Change, Expiry, JailId, Subject};

/// Of how many hosts and networks knocks are read at a time: what they take is bounded by it.
const KNOCKS: usize = 10_000;

/// The table `inet blocker`. It stays when this value is dropped.
#[derive(Debug)]
pub struct Nftables {
    jails: Vec<JailScope>,
    names: Vec<Names>,
    hook: Hook,
    /// The interfaces that the table is tied to.
    interfaces: Vec<String>,
    socket: Socket,
    bans: Bans,
    counters: Arc<Counters>,
    /// Hosts and networks that it holds.
    entries: Entries,
    allowed: Vec<Interval>,
    /// The table as it was laid, so that it shows when somebody changes it.
    laid: Option<State>,
    /// Whether banned packets are only counted, and pass.
    count_only: bool,
    /// What the table is to hold from the start, until it is laid.
    pending: Option<Vec<Change>>,
}

impl Nftables {
    /// Prepares the table, in the network namespace of the calling thread. What is there from before stays in force until
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// When the capability `CAP_NET_ADMIN` is missing, when the kernel has no nf_tables, and when two jails have one name.
    pub fn open(jails: &[JailScope], hook: Hook) -> anyhow::Result<Self> {
        let names = names::names(jails)?;
        let socket = Socket::open().map_err(|errno| explain(errno.into()))?;
        let counters = Counters::open(names::names(jails)?).map_err(|errno| explain(errno.into()))?;
        let nftables = Self {
            jails: jails.to_vec(),
            names,
            hook,
            interfaces: Vec::new(),
            socket,
            bans: Bans::default(),
            counters: Arc::new(counters),
            entries: Entries::default(),
            allowed: Vec::new(),
            laid: None,
            count_only: false,
            pending: Some(Vec::new()),
        };
        // Whether it may be asked for anything shows at the first question.
        nftables.state().map_err(|errno| explain(errno.into()))?;
        Ok(nftables)
    }

    /// Has the table, once it is laid, count what it would drop, and drop nothing.
    pub const fn count_only(&mut self) {
        self.count_only = true;
    }

    /// Lays the table with what it was told to hold, in place of the one that is there, in one step. Its counters go on from where
    /// they were.
    ///
    /// # Errors
    ///
    /// When the kernel does not take the table.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        let now = Timestamp::now();
        if let Err(failure) = self.lay(&pending, now) {
            // One element that the kernel does not take keeps it from taking any.
            tracing::warn!(
                %failure,
                bans = pending.len(),
                "the kernel does not take the table with all bans in one step; laying it without them, and then banning anew"
            );
            self.lay(&[], now).map_err(explain)?;
            for Rejected { error, .. } in self.apply(&pending, now) {
                tracing::error!("{error:#}");
            }
        }
        Ok(())
    }

    /// The bans that an agent before this one has left in force. They stay so until [`settle`](Self::settle). In a dry run none was.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell them.
    pub fn inherited(&mut self, now: Timestamp) -> anyhow::Result<Vec<Inherited>> {
        let begin = Instant::now();
        let mut all = Vec::new();
        match count(&self.socket, names::DRY_RUN) {
            Ok(_) => return Ok(all),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno).context("nftables: the table inet blocker cannot be read"),
        }
        for (jail, names) in self.jails.iter().zip(&self.names) {
            let jail: Arc<str> = jail.name.as_str().into();
            for place in Place::all(JailId(0)) {
                let set = names.set(place.family, place.prefix_len);
                let mut held = Held::new();
                held::add_all(&mut held, &self.socket, place, &set, begin)
                    .with_context(|| format!("nftables: the set {set:?} cannot be read"))?;
                for (subject, bans) in held {
                    all.extend(bans.into_iter().map(|(_, left)| Inherited {
                        jail: Arc::clone(&jail),
                        subject,
                        // A sum beyond the calendar has no end.
                        until: left.map_or(Expiry::Never, |left| {
                            now.checked_add(left).map_or(Expiry::Never, Expiry::At)
                        }),
                    }));
                }
            }
        }
        Ok(all)
    }

    /// Takes the table out, whoever has laid it.
    ///
    /// # Errors
    ///
    /// When the kernel does not let it.
    pub fn clear() -> anyhow::Result<()> {
        let socket = Socket::open().map_err(|errno| explain(errno.into()))?;
        ruleset::remove(&socket).map_err(explain)
    }

    /// Has the kernel's allowlist hold what it is to hold.
    fn put_allowed(&self) -> anyhow::Result<()> {
        let mut transaction = Transaction::new();
        allowed::replace(&mut transaction, &self.allowed);
        transaction
            .commit(&self.socket)
            .context("nftables: the kernel refused the allowlist")
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
        match self.hook {
            Hook::Prerouting => "table inet blocker".to_owned(),
            Hook::Ingress(_) => format!("table inet blocker at ingress of {}", self.interfaces.join(", ")),
        }
    }

    fn apply(&mut self, changes: &[Change], now: Timestamp) -> Vec<Rejected> {
        if let Some(pending) = &mut self.pending {
            pending.extend_from_slice(changes);
            return Vec::new();
        }
        let reject = |error: anyhow::Error| {
            let error = format!("{error:#}");
            let all = (0..changes.len()).map(|change| Rejected {
                change,
                error: anyhow!(error.clone()),
            });
            all.collect()
        };
        if let Err(error) = self.mend(Look::Quick) {
            return reject(error);
        }
        let sets = self.bans.sets().len();
        let rejected = self.bans.apply(&self.socket, &self.names, changes, now);
        self.entries.note(self.bans.len());
        if self.bans.sets().len() != sets {
            match self.state() {
                Ok(state) => self.laid = state,
                Err(errno) => return reject(errno.into()),
            }
        }
        rejected
    }

    fn compare(&mut self, wanted: &[Change], now: Timestamp) -> anyhow::Result<Vec<Change>> {
        if self.pending.is_some() {
            return Ok(Vec::new());
        }
        self.mend(Look::Close)?;
        let context = "nftables: the table inet blocker cannot be read";
        let mut allowed = Vec::new();
        for family in Family::ALL {
            allowed.extend(held::elements(&self.socket, names::allowed(family)).context(context)?);
        }
        let mut found: Vec<IpAddr> = allowed.into_iter().map(|found| found.address).collect();
        let mut expected: Vec<IpAddr> = self.allowed.iter().map(Interval::first).collect();
        found.sort();
        expected.sort();
        if found != expected {
            tracing::warn!("somebody has changed the allowlist in the table inet blocker; putting it right");
            self.put_allowed()?;
        }
        compare::compare(&self.socket, &self.names, &mut self.bans, wanted, now).context(context)
    }

    fn allow(&mut self, networks: &[IpNet]) -> anyhow::Result<()> {
        let before = std::mem::replace(&mut self.allowed, allowed::intervals(networks));
        if self.pending.is_some() {
            return Ok(());
        }
        let result = self.mend(Look::Quick).and_then(|()| self.put_allowed());
        if result.is_err() {
            self.allowed = before;
        }
        result
    }

    fn view(&self) -> View {
        let at_ingress = |interface: &String| Coverage {
            interface: interface.clone(),
            by: CoveredBy::Nftables("at ingress"),
        };
        View {
            kind: Kind::Nftables,
            // At prerouting it sees the packets of all interfaces, so that none is named.
            coverage: self.interfaces.iter().map(at_ingress).collect(),
            maps: vec![Map {
                name: "nftables".to_owned(),
                entries: self.entries.clone(),
                capacity: None,
            }],
            counts: vec![Arc::clone(&self.counters) as _],
        }
    }

    fn knocks(&self, now: Timestamp, each: &mut dyn FnMut(Knocks)) -> anyhow::Result<()> {
        let all: Vec<Subject> = self.bans.subjects().collect();
        for some in all.chunks(KNOCKS) {
            self.knocks_of(some, now)?.into_iter().for_each(&mut *each);
        }
        Ok(())
    }

    fn knocks_of(&self, subjects: &[Subject], now: Timestamp) -> anyhow::Result<Vec<Knocks>> {
        knocks::read(&self.socket, &self.names, &self.bans, subjects, now)
            .context("nftables: the sets of knocks in the table inet blocker cannot be read")
    }

    fn refresh(&mut self, _in_force: &mut dyn InForce, _now: Instant) {
        if let Err(error) = self.mend(Look::Close) {
            tracing::error!("{error:#}");
        }
    }
}
