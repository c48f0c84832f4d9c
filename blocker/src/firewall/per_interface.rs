//! XDP on every interface that takes it, nftables for the rest.
//!
//! nftables sees the packets of all interfaces, so with it open each ban is in both. A packet that the XDP program drops never
//! gets to nftables and is counted once; one that it lets pass, since it is allowed or only counted, both see. It is opened when the first interface needs it and then stays until the end: an interface that
//! comes and goes must not have every ban loaded anew each time, and nobody kept out meanwhile.

mod join;
mod steps;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use jiff::Timestamp;

use self::join::{added, merged};
use self::steps::{Attempt, Held, Step, steps};
use super::interfaces::{self, Chosen, Interface};
use super::nftables::{Hook, Nftables};
use super::xdp::{AttachError, Attachment, Mode, Xdp};
use super::{Coverage, CoveredBy, Firewall, InForce, JailScope, Kind, Knocks, Rejected, View};
use crate::ban::{Change, Subject};

/// After this time a refused interface is tried again, though nothing seems to have changed.
const RETRY: Duration = Duration::from_secs(55);

/// What enforces bans on interfaces that take no XDP program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing: XDP is insisted on.
    Nothing,
    /// nftables.
    Nftables,
}

/// What is to be covered, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which interfaces.
    pub chosen: Chosen,
    /// For those that take no XDP program.
    pub otherwise: Otherwise,
    /// The jails, in the order of their identities.
    pub jails: Vec<JailScope>,
    /// Where nftables looks at packets.
    pub hook: Hook,
    /// Whether packets of banned hosts are only counted, and pass.
    pub dry_run: bool,
}

/// XDP where it can be attached, nftables for the rest.
pub struct PerInterface {
    xdp: Xdp,
    nftables: Option<Nftables>,
    plan: Plan,
    /// The chosen interfaces that there are, by index.
    covered: BTreeMap<u32, Covered>,
}

struct Covered {
    /// As it was at the last attempt.
    interface: Interface,
    result: Result<Mode, Refused>,
}

struct Refused {
    brief: &'static str,
    error: String,
    at: Instant,
}

impl PerInterface {
    /// Attaches `xdp`, which is filled, to the chosen interfaces, opens nftables if one of them takes no program or if there is none yet, and
    /// puts both in force in place of what was before.
    ///
    /// # Errors
    ///
    /// When there is nothing that could enforce a ban. Without nftables, also when one of the chosen interfaces takes no program that is
    /// named without a glob.
    pub fn open(xdp: Xdp, plan: Plan, in_force: &mut dyn InForce, now: Instant) -> Result<Self> {
        let mut firewall = Self {
            xdp,
            nftables: None,
            plan,
            covered: BTreeMap::new(),
        };
        firewall.look(now)?;
        if firewall.plan.otherwise == Otherwise::Nothing {
            firewall.insist_on_xdp()?;
        }
        if let Err(error) = firewall.open_nftables_if_needed(in_force) {
            let refusals = firewall.refusals(|_| true).join("; ");
            ensure!(
                firewall.covered.values().any(|covered| covered.result.is_ok()),
                "neither XDP ({refusals}) nor nftables can be used: {error:#}"
            );
            firewall.report_no_nftables(&error);
        }
        firewall.xdp.settle()?;
        if firewall.nftables.is_none() {
            // It may not be there, nor be possible.
            let _ = Nftables::clear();
        }
        Ok(firewall)
    }

    fn insist_on_xdp(&self) -> Result<()> {
        let is_named = |name: &str| match &self.plan.chosen {
            Chosen::Named(patterns) => patterns.iter().any(|pattern| pattern.name() == Some(name)),
            Chosen::WithDefaultRoute => true,
        };
        ensure!(
            !self.covered.is_empty() || self.plan.chosen != Chosen::WithDefaultRoute,
            "XDP needs an interface and none has a default route: name one with --interface or under [firewall] in blocker.toml"
        );
        let nothing_attached = self.covered.values().all(|covered| covered.result.is_err());
        let refusals = self.refusals(|name| nothing_attached || is_named(name));
        ensure!(refusals.is_empty(), "{}", refusals.join("; "));
        if self.covered.is_empty() {
            tracing::warn!("no interface matches what is configured yet; bans are enforced once one appears");
        }
        Ok(())
    }

    fn refusals(&self, of: impl Fn(&str) -> bool) -> Vec<String> {
        let covered = self.covered.values().filter(|covered| of(&covered.interface.name));
        covered
            .filter_map(|covered| covered.result.as_ref().err())
            .map(|refused| refused.error.clone())
            .collect()
    }

    /// Looks at the interfaces and does what is to be done about them.
    fn look(&mut self, now: Instant) -> Result<()> {
        let present = interfaces::list().context("cannot list the network interfaces")?;
        // The default route of a link that is down now may have been there when the agent before this one started.
        let was_covered = |interface: &Interface| {
            self.covered.contains_key(&interface.index) || !interface.is_up && self.xdp.was_on(interface.index)
        };
        let meant = self.plan.chosen.among(&present, was_covered);
        let held: Vec<Held> = self.covered.values().map(|covered| covered.held(now)).collect();
        for step in steps(&meant, &present, &held, self.xdp.program_id()?) {
            match step {
                Step::Forget(index) => self.give_up(index, "the interface is gone"),
                Step::Detach(index) => {
                    let now = present.iter().find(|now| now.index == index);
                    let now = now.map_or("", |now| now.name.as_str());
                    self.give_up(
                        index,
                        &format!("its name is `{now}` now, which the configuration does not mean"),
                    );
                }
                Step::Rename(index, name) => self.rename(index, name),
                Step::Attach(interface) => self.attach(interface, now),
            }
        }
        Ok(())
    }

    fn give_up(&mut self, index: u32, reason: &str) {
        let Some(covered) = self.covered.remove(&index) else {
            return;
        };
        let interface = covered.interface.name;
        tracing::warn!(%interface, "no longer covered: {reason}");
        if let Err(error) = self.xdp.detach(index) {
            tracing::error!(%interface, error = format!("{error:#}"), "the XDP program cannot be taken off");
        }
    }

    fn rename(&mut self, index: u32, name: String) {
        self.xdp.rename(index, &name);
        if let Some(covered) = self.covered.get_mut(&index) {
            tracing::info!(from = %covered.interface.name, to = %name, "an interface was renamed and stays covered");
            covered.interface.name = name;
        }
    }

    fn attach(&mut self, interface: Interface, now: Instant) {
        let before = self.covered.get(&interface.index);
        if before.is_some_and(|covered| covered.result.is_ok()) {
            tracing::warn!(interface = %interface.name, "blocker's XDP program was taken off; attaching it again");
        }
        let known = before
            .and_then(|covered| covered.result.as_ref().err())
            .map(|refused| refused.error.as_str());
        let result = match self.xdp.attach(&interface) {
            Ok(attachment) => {
                report_attached(attachment);
                Ok(attachment.mode)
            }
            // The next look forgets it.
            Err(AttachError::Gone(_)) => return,
            Err(error) => {
                let (brief, error) = (error.brief(), error.to_string());
                // Tried every minute, said once.
                if known != Some(error.as_str()) {
                    report_refused(&error, self.plan.otherwise);
                }
                Err(Refused { brief, error, at: now })
            }
        };
        self.covered.insert(interface.index, Covered { interface, result });
    }

    fn open_nftables_if_needed(&mut self, in_force: &mut dyn InForce) -> Result<()> {
        let is_needed = self.covered.is_empty() || self.covered.values().any(|covered| covered.result.is_err());
        if !is_needed || self.nftables.is_some() || self.plan.otherwise == Otherwise::Nothing {
            return Ok(());
        }
        let mut opened = Nftables::open(&self.plan.jails, self.plan.hook.clone())?;
        if self.plan.dry_run {
            opened.count_only();
        }
        in_force.fill(&mut opened)?;
        opened.settle()?;
        self.nftables = Some(opened);
        Ok(())
    }

    fn coverage(&self) -> Vec<Coverage> {
        let by = |covered: &Covered| match (&covered.result, &self.nftables) {
            (Ok(mode), _) => CoveredBy::Xdp(*mode),
            (Err(refused), Some(_)) => CoveredBy::Nftables(refused.brief),
            (Err(refused), None) => CoveredBy::Nothing(refused.brief),
        };
        let coverage = |covered: &Covered| Coverage {
            interface: covered.interface.name.clone(),
            by: by(covered),
        };
        self.covered.values().map(coverage).collect()
    }

    fn report_no_nftables(&self, error: &anyhow::Error) {
        tracing::error!(
            place = self.place(),
            error = format!("{error:#}"),
            "nftables cannot be used either: nothing keeps banned hosts from interfaces without the XDP program"
        );
    }
}

impl Covered {
    fn held(&self, now: Instant) -> Held {
        let result = match &self.result {
            Ok(_) => Attempt::Attached,
            Err(refused) => Attempt::Refused {
                is_old: now.saturating_duration_since(refused.at) >= RETRY,
            },
        };
        Held {
            interface: self.interface.clone(),
            result,
        }
    }
}

fn report_attached(attachment: &Attachment) {
    let Attachment { interface, mode, .. } = attachment;
    match &attachment.driver_refusal {
        None => tracing::info!(%interface, %mode, "the XDP program is attached"),
        Some(refusal) => tracing::warn!(
            %interface,
            %mode,
            "the XDP program is attached, but not in the driver, where a dropped packet costs half as much: {refusal}"
        ),
    }
}

fn report_refused(error: &str, otherwise: Otherwise) {
    match otherwise {
        Otherwise::Nftables => tracing::warn!(
            "XDP cannot be used: {error}; nftables takes its place there, at several times the cost of a packet"
        ),
        Otherwise::Nothing => tracing::error!("bans are not enforced on an interface: {error}"),
    }
}

impl Firewall for PerInterface {
    fn kind(&self) -> Kind {
        let xdp = self.covered.values().any(|covered| covered.result.is_ok());
        match (xdp, &self.nftables) {
            (_, None) => Kind::Xdp,
            (true, Some(_)) => Kind::Both,
            (false, Some(_)) => Kind::Nftables,
        }
    }

    fn place(&self) -> String {
        let mut places: Vec<String> = self.coverage().iter().map(Coverage::to_string).collect();
        if places.is_empty() {
            places.extend(self.nftables.as_ref().map(Nftables::place));
        }
        places.join(", ")
    }

    fn apply(&mut self, changes: &[Change], now: Timestamp) -> Vec<Rejected> {
        let by_xdp = self.xdp.apply(changes, now);
        match &mut self.nftables {
            Some(nftables) => merged(by_xdp, nftables.apply(changes, now)),
            None => by_xdp,
        }
    }

    fn compare(&mut self, wanted: &[Change], now: Timestamp) -> Result<Vec<Change>> {
        let in_xdp = self.xdp.compare(wanted, now);
        let Some(nftables) = &mut self.nftables else {
            return in_xdp;
        };
        // What one of the two does not tell must not keep the other from being mended.
        let (mut all, others) = match (in_xdp, nftables.compare(wanted, now)) {
            (Err(error), Ok(differing)) | (Ok(differing), Err(error)) if !differing.is_empty() => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "what one of the two firewalls holds cannot be read"
                );
                (differing, Vec::new())
            }
            (in_xdp, in_nftables) => (in_xdp?, in_nftables?),
        };
        let known: HashSet<Subject> = all.iter().map(|change| change.subject).collect();
        all.extend(others.into_iter().filter(|change| !known.contains(&change.subject)));
        Ok(all)
    }

    fn allow(&mut self, networks: &[IpNet]) -> Result<()> {
        // What one of the two does not take must not keep the other from it.
        let by_xdp = self.xdp.allow(networks);
        if let Some(nftables) = &mut self.nftables {
            nftables.allow(networks)?;
        }
        by_xdp
    }

    fn view(&self) -> View {
        let mut view = View {
            kind: self.kind(),
            coverage: self.coverage(),
            ..self.xdp.view()
        };
        if let Some(nftables) = self.nftables.as_ref().map(Nftables::view) {
            view.maps.extend(nftables.maps);
            view.counts.extend(nftables.counts);
        }
        view
    }

    fn knocks(&self, now: Timestamp, each: &mut dyn FnMut(Knocks)) -> Result<()> {
        let mut others = HashMap::new();
        if let Some(nftables) = &self.nftables {
            nftables.knocks(now, &mut |knocks| {
                if knocks.packets > 0 {
                    others.insert(knocks.subject, knocks);
                }
            })?;
        }
        self.xdp
            .knocks(now, &mut |knocks| each(added(knocks, others.get(&knocks.subject))))
    }

    fn knocks_of(&self, subjects: &[Subject], now: Timestamp) -> Result<Vec<Knocks>> {
        let mut all = self.xdp.knocks_of(subjects, now)?;
        if let Some(nftables) = &self.nftables {
            let others = nftables.knocks_of(subjects, now)?;
            let others: HashMap<Subject, Knocks> = others.into_iter().map(|knocks| (knocks.subject, knocks)).collect();
            for knocks in &mut all {
                *knocks = added(*knocks, others.get(&knocks.subject));
            }
        }
        Ok(all)
    }

    fn refresh(&mut self, in_force: &mut dyn InForce, now: Instant) {
        if let Err(error) = self.look(now) {
            tracing::error!(
                error = format!("{error:#}"),
                "interfaces cannot be looked at; trying again within a minute"
            );
        }
        if let Err(error) = self.open_nftables_if_needed(in_force) {
            self.report_no_nftables(&error);
        }
        if let Some(nftables) = &mut self.nftables {
            nftables.refresh(in_force, now);
        }
    }
}
