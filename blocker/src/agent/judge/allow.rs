//! What the judge does when the allowlist changes: the machine has other addresses, or names have others.

use std::collections::BTreeSet;

use ipnet::IpNet;
use jiff::Timestamp;

use super::Judge;
use crate::agent::allow::{Answers, LookedUp};
use crate::ban::Origin;
use crate::ledger::{Allowlist, Lifted, own_addresses};

/// Why a jail's ban is lifted.
const IGNORED: &str = "the jail's ignoreip covers it now";

/// The allowlist on its way to ledger and kernel.
#[derive(Default)]
pub(in crate::agent) struct Allowing {
    looked_up: LookedUp,
    /// What it is to be after a reload.
    next: Option<Allowlist>,
    /// Whether the kernel still lacks what the ledger has.
    unsettled: bool,
    /// Whether that was said.
    told: bool,
}

impl Allowing {
    /// The judge's end of it.
    pub(in crate::agent) const fn new(looked_up: LookedUp) -> Self {
        Self {
            looked_up,
            next: None,
            unsettled: false,
            told: false,
        }
    }

    /// The judge's end of it after a reload, with the allowlist that the ledger does not have yet.
    pub(in crate::agent) const fn anew(looked_up: LookedUp, allowlist: Allowlist) -> Self {
        Self {
            looked_up,
            next: Some(allowlist),
            unsettled: true,
            told: false,
        }
    }
}

impl Judge {
    /// Takes over what names and SPF records have come to and, where `look` says so, the machine's own addresses.
    pub(super) fn renew_allowlist(&mut self, look: bool, now: Timestamp) {
        let mut allowlist = self.allowing.next.take();
        let mut lifted = Vec::new();
        if let Some(Answers { allow, jails }) = self.allowing.looked_up.take() {
            let list = allowlist.as_ref().unwrap_or_else(|| self.ledger.allowlist());
            allowlist = Some(list.with_looked_up(allow));
            lifted.push((IGNORED, self.ignore(&jails)));
        }
        if look {
            match own_addresses() {
                Ok(own) => {
                    let list = allowlist.as_ref().unwrap_or_else(|| self.ledger.allowlist());
                    allowlist = Some(list.with_own(own));
                }
                // Those known before stay.
                Err(error) => tracing::error!(%error, "cannot list the machine's own addresses"),
            }
        }
        if let Some(allowlist) = allowlist
            && allowlist.networks() != self.ledger.allowlist().networks()
        {
            tracing::info!(networks = allowlist.networks().len(), "the allowlist has changed");
            if let Some(hangup) = &self.hangup {
                hangup.spare(allowlist.networks());
            }
            lifted.push(("the allowlist covers it now", self.ledger.set_allowlist(allowlist)));
            self.allowing.unsettled = true;
        }
        if self.allowing.unsettled {
            self.settle();
        }
        for (reason, lifted) in lifted {
            self.lift(reason, &lifted, now);
        }
    }

    /// Has each jail ignore what its names have come to.
    fn ignore(&mut self, looked_up: &[Vec<IpNet>]) -> Lifted {
        for ((_, jail), networks) in self.jails.iter_mut().zip(looked_up) {
            jail.ignore_also(networks);
        }
        self.release_ignored()
    }

    /// Lifts the bans of hosts that their jail ignores; those of an agent before this one, whose configuration was another, at its start.
    pub(super) fn lift_ignored(&mut self, now: Timestamp) {
        let lifted = self.release_ignored();
        self.lift(IGNORED, &lifted, now);
    }

    fn release_ignored(&mut self) -> Lifted {
        let jails = &self.jails;
        self.ledger.lift(|ban| {
            // What was asked for stands, whatever the jail makes of the host.
            if ban.origin != Origin::Jail {
                return false;
            }
            let jail = jails.get(usize::from(ban.jail.0));
            jail.is_some_and(|(_, jail)| jail.ignores(ban.subject))
        })
    }

    /// Puts the ledger's allowlist into the kernel; what it does not take is tried again with the next tick.
    fn settle(&mut self) {
        let mut firewall = self.firewall.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(firewall) = firewall.as_deref_mut() else {
            return;
        };
        match firewall.allow(self.ledger.allowlist().networks()) {
            Ok(()) => (self.allowing.unsettled, self.allowing.told) = (false, false),
            Err(error) if !self.allowing.told => {
                self.allowing.told = true;
                tracing::error!(
                    error = format!("{error:#}"),
                    "the kernel does not take the allowlist; trying again every second"
                );
            }
            Err(_) => {}
        }
    }

    pub(super) fn lift(&mut self, reason: &str, lifted: &Lifted, now: Timestamp) {
        lifted.bans.iter().for_each(|ban| self.store.lift(ban));
        self.commit(now);
        let rejected = self.apply(&lifted.changes, now);
        let kept: BTreeSet<_> = rejected
            .iter()
            .map(|rejected| lifted.changes[rejected.change].subject)
            .collect();
        for ban in &lifted.bans {
            if let Some(metrics) = self.metrics.jail(ban.jail) {
                metrics.active.dec();
            }
            let (jail, address, until) = (self.name(ban.jail), ban.subject, ban.until);
            if kept.contains(&address) {
                tracing::error!(%jail, %address, %until, "a ban is lifted, and the kernel goes on with it; trying again every second");
            } else {
                tracing::info!(%jail, %address, %until, failures = ban.failures, reason, "unbanned");
            }
        }
    }
}
