//! What a start and a reload have in common: the machine is looked at, the allowlist looked up, the firewall filled and opened.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;

use super::allow::{Answers, Refresh, Wanted as LookUp};
use super::clock::WallClock;
use super::judge::{Allowing, Lines};
use super::reconcile::Reconcile;
use super::stages::Decisions;
use crate::api::control::{About, AboutJail, Ask};
use crate::ban::Subject;
use crate::config::{JailSettings, Settings};
use crate::firewall::interfaces::LinkWatch;
use crate::firewall::{self, Firewall, JailScope, Wanted};
use crate::ledger::brake::{Brake, Seen};
use crate::ledger::store::Store;
use crate::ledger::{Allowlist, Entry, Ledger, own_addresses};
use crate::machine;

/// The file, beside the ledger, of what the allowlist's names and SPF records came to last.
const LOOKED_UP: &str = "allowlist.json";

/// Checks that the machine has what these settings need.
pub(super) fn check_machine(settings: &Settings) -> Result<()> {
    let problems = machine::problems(settings.firewall, &settings.interfaces, &settings.jails);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

/// What looks up the allowlist's names, and those of the jails.
pub(super) fn look_up(settings: &Settings) -> Refresh {
    let wanted = LookUp {
        allow: settings.allow_looked_up.clone(),
        jails: settings.jails.iter().map(|jail| jail.ignored_names.clone()).collect(),
    };
    Refresh::new(wanted, settings.state.join(LOOKED_UP))
}

/// The allowlist that these settings and answers come to.
pub(super) fn allowlist(settings: &Settings, looked_up: &Answers) -> Result<Allowlist> {
    let own = own_addresses().context("cannot list the machine's own addresses, which must never be banned")?;
    Ok(Allowlist::new(settings.allow.clone(), own).with_looked_up(looked_up.allow.clone()))
}

/// The jails' names, in the order of their identities.
pub(super) fn names(settings: &Settings) -> Vec<String> {
    settings.jails.iter().map(|jail| jail.name.clone()).collect()
}

/// What of these settings is told.
pub(super) fn about(settings: &Settings) -> About {
    let jail = |jail: &JailSettings| AboutJail {
        name: jail.name.clone(),
        scope: jail.scope.to_string(),
        logs: jail.logs.iter().map(ToString::to_string).collect(),
    };
    About {
        configuration: settings.source.clone(),
        jails: settings.jails.iter().map(jail).collect(),
        broken: settings.broken.iter().map(|jail| jail.name.clone()).collect(),
    }
}

/// The jails as the firewall knows them.
pub(super) fn scopes(settings: &Settings) -> Vec<JailScope> {
    let scope = |jail: &JailSettings| JailScope {
        name: jail.name.clone(),
        scope: jail.scope.clone(),
    };
    settings.jails.iter().map(scope).collect()
}

/// The firewall that these settings want.
pub(super) fn wanted<'a>(settings: &'a Settings, pins: &'a Path, jails: &'a [JailScope]) -> Wanted<'a> {
    Wanted {
        choice: settings.firewall,
        interfaces: &settings.interfaces,
        hook: settings.nftables_hook,
        sizes: settings.sizes,
        pins,
        jails,
        dry_run: settings.dry_run,
    }
}

/// Opens the firewall with all that the ledger holds, and takes in what was in force.
pub(super) fn open_filled(
    ledger: &mut Ledger,
    store: &mut Store,
    wanted: Wanted<'_>,
    jails: &[String],
) -> Result<(Box<dyn Firewall>, BTreeSet<Subject>)> {
    let mut refused = BTreeSet::new();
    let mut in_force = Reconcile {
        ledger,
        store,
        jails,
        now: Timestamp::now(),
        refused: &mut refused,
    };
    let opened = firewall::open(wanted, &mut in_force)?;
    Ok((opened, refused))
}

/// Begins with what agents before this one have left on disk and in the kernel.
pub(super) fn begin(
    settings: &Settings,
    looked_up: Answers,
    refresh: &Refresh,
    pins: &Path,
    asks: Receiver<Ask>,
) -> Result<(Box<dyn Firewall>, Decisions)> {
    let clock = WallClock::new();
    let now = Timestamp::now();
    let (names, scopes) = (names(settings), scopes(settings));
    let allowlist = allowlist(settings, &looked_up)?;
    let (mut store, bans) = Store::open(&settings.state, names.clone(), settings.history, now)?;
    let mut ledger = Ledger::new(allowlist);
    let entries = bans.into_iter().map(|ban| ledger.enter(ban));
    let known = entries.filter(|entry| matches!(entry, Entry::New(_))).count();
    tracing::debug!(bans = known, "the ledger was read");
    // Before the interfaces are looked at, so that no change falls between.
    let links = LinkWatch::open().context("cannot listen for changes of network interfaces")?;
    let (opened, refused) = open_filled(&mut ledger, &mut store, wanted(settings, pins, &scopes), &names)?;
    store.commit(&ledger, Timestamp::now());
    let seen = Arc::new(Seen::default());
    let decisions = Decisions {
        clock,
        ledger,
        store,
        brake: Brake::new(settings.brake, Arc::clone(&seen)),
        seen,
        jails: Vec::new(),
        lines: Lines::default(),
        refused,
        unresolved: Vec::new(),
        unasked: Vec::new(),
        links,
        allowing: Allowing::new(refresh.looked_up()),
        ignored: looked_up.jails,
        asks,
    };
    Ok((opened, decisions))
}
