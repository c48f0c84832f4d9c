//! Takes over another configuration while the agent runs: checked first, and applied only if it is whole.
//!
//! Ledger, brake and what jails have counted are handed on; what enforces is opened anew only where it would be another, and then as at
//! a start: it is filled before it takes the former one's place. So nobody who is banned gets through meanwhile.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use anyhow::Result;
use tokio::net::TcpListener;

use super::allow::{Answers, Refresh};
use super::judge::clock::was_set;
use super::sources;
use super::stages::Decisions;
use super::start::{allowlist, check_machine, look_up, names, open_filled, scopes, wanted};
use crate::api::http;
use crate::api::metrics::SharedFirewall;
use crate::api::model::Reloaded;
use crate::ban::JailId;
use crate::config::Settings;
use crate::firewall::Firewall;
use crate::ledger::{Allowlist, Lifted, Renumbering};
use crate::problem::Problems;

/// Reads the configuration that applies now, with what was typed over it.
pub type Load = dyn Fn() -> Result<Settings> + Send + Sync;

/// What is by other settings now.
pub(super) struct Applied {
    pub(super) reloaded: Reloaded,
    /// The firewall, where it is another.
    pub(super) in_force: Option<Box<dyn Firewall>>,
}

/// A configuration that was checked, and what its allowlist comes to.
pub(super) struct Checked {
    pub(super) settings: Settings,
    pub(super) refresh: Refresh,
    pub(super) looked_up: Answers,
    pub(super) allowlist: Allowlist,
    /// Where metrics are to be served from now on, if that is not where they are.
    pub(super) listener: Option<TcpListener>,
}

/// Reads the configuration and checks it, as a start does; nothing is changed.
///
/// # Errors
///
/// With everything that is wrong.
pub(super) async fn check(load: Arc<Load>, running: &Settings) -> Result<Checked, Vec<String>> {
    let loaded = tokio::task::spawn_blocking(move || load()).await;
    let mut settings = match loaded {
        Ok(Ok(settings)) => settings,
        Ok(Err(error)) => return Err(problems(&error)),
        Err(error) => return Err(vec![format!("the configuration cannot be read: {error}")]),
    };
    let mut wrong: Vec<String> = Vec::new();
    if running.dry_run {
        // Only the command line says where that is.
        settings.state.clone_from(&running.state);
    }
    settings.dry_run = running.dry_run;
    if !same_folder(&settings.state, &running.state) {
        wrong.push(format!(
            "the ledger lies in {} and cannot move to {} while the agent runs: restart it, or take `folder` under [state] back",
            running.state.display(),
            settings.state.display()
        ));
    }
    for broken in &settings.broken {
        if running.jails.iter().any(|jail| jail.name == broken.name) {
            let each = broken.problems.0.iter();
            wrong.extend(each.map(|problem| format!("jail [{}] runs and would not any more: {problem}", broken.name)));
        }
    }
    if let Err(error) = check_machine(&settings) {
        wrong.extend(problems(&error));
    }
    if let Err(error) = sources::try_to_watch(&settings.jails) {
        wrong.extend(problems(&error));
    }
    let mut listener = None;
    if let Some(address) = settings.metrics.filter(|_| settings.metrics != running.metrics) {
        match http::bind(address).await {
            Ok(bound) => listener = Some(bound),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut refresh = look_up(&settings);
    let looked_up = refresh.start().await;
    let allowlist = allowlist(&settings, &looked_up).map_err(|error| problems(&error))?;
    Ok(Checked {
        settings,
        refresh,
        looked_up,
        allowlist,
        listener,
    })
}

fn same_folder(one: &Path, other: &Path) -> bool {
    match (std::path::absolute(one), std::path::absolute(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

fn problems(error: &anyhow::Error) -> Vec<String> {
    match error.downcast_ref::<Problems>() {
        Some(problems) => problems.0.iter().map(ToString::to_string).collect(),
        None => format!("{error:#}").lines().map(str::to_owned).collect(),
    }
}

/// Those of the names that are not among the others.
fn without(names: &[String], others: &[String]) -> Vec<String> {
    names.iter().filter(|name| !others.contains(name)).cloned().collect()
}

/// Gives a jail its new number, and says whether it goes on.
fn renumber(jail: &mut JailId, numbers: &Renumbering) -> bool {
    let number = numbers.of(*jail);
    *jail = number.unwrap_or(*jail);
    number.is_some()
}

/// Has ledger and firewall go by other settings. Where the firewall cannot be had by them, it says why, and everything is as before.
///
/// # Errors
///
/// When it cannot be had by those of before either.
pub(super) fn apply(
    decisions: &mut Decisions,
    firewall: &SharedFirewall,
    pins: &Path,
    old: &Settings,
    new: &Settings,
) -> Result<Result<Applied>> {
    let (now, step) = decisions.clock.read();
    if let Some(step) = step {
        let Decisions {
            ledger,
            jails,
            lines,
            store,
            ..
        } = decisions;
        was_set(step, now, ledger, (jails, lines), store);
    }
    let (before, after) = (names(old), names(new));
    let there = Renumbering::new(&before, &after);
    let Decisions { ledger, store, .. } = decisions;
    let lifted: Lifted = ledger.lift(|ban| there.of(ban.jail).is_none());
    lifted.bans.iter().for_each(|ban| store.lift(ban));
    store.commit(ledger, now);
    ledger.renumber(&there);
    store.renumber(after.clone());
    let added = without(&after, &before);
    for ban in store.waiting(&added, now) {
        ledger.enter(ban);
    }
    let mut in_force = None;
    let (old_scopes, new_scopes) = (scopes(old), scopes(new));
    if wanted(new, pins, &new_scopes) != wanted(old, pins, &old_scopes) {
        match open_filled(ledger, store, wanted(new, pins, &new_scopes), &after) {
            Ok((opened, refused)) => {
                decisions.refused = refused;
                in_force = Some(opened);
            }
            Err(error) => {
                let back = Renumbering::new(&after, &before);
                // They wait in the database, as before.
                ledger.lift(|ban| back.of(ban.jail).is_none());
                ledger.renumber(&back);
                store.renumber(before);
                for ban in lifted.bans {
                    store.take_in(&ban);
                    ledger.enter(ban);
                }
                store.commit(ledger, now);
                // It may have been put in the place of the former one in part.
                let (opened, refused) = open_filled(ledger, store, wanted(old, pins, &old_scopes), &names(old))?;
                *firewall.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
                decisions.refused = refused;
                return Ok(Err(error.context("the firewall cannot be had by it")));
            }
        }
    }
    decisions
        .unasked
        .retain_mut(|failure| renumber(&mut failure.jail, &there));
    decisions
        .unresolved
        .retain_mut(|unresolved| renumber(&mut unresolved.jail, &there));
    decisions.lines.renumber(&there);
    let Decisions { ledger, store, .. } = decisions;
    store.keep_history(new.history);
    store.commit(ledger, now);
    for ban in &lifted.bans {
        let jail = before.get(usize::from(ban.jail.0)).map_or("?", String::as_str);
        tracing::info!(jail, address = %ban.subject, until = %ban.until, failures = ban.failures, reason = "its jail is not configured any more", "unbanned");
    }
    let reloaded = Reloaded {
        added,
        removed: without(&before, &after),
        lifted: lifted.bans.len(),
    };
    Ok(Ok(Applied { reloaded, in_force }))
}
