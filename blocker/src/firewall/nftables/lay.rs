//! When the table is laid: at the start, and again when somebody else has changed it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use anyhow::Context as _;
use blocker_common::map::Outcome;
use blocker_common::packet::Family;
use jiff::Timestamp;
use nix::errno::Errno;

use super::counters::count;
use super::hook::Hook;
use super::ruleset::{self, Layout};
use super::socket::Answer;
use super::transaction::Failure;
use super::{Nftables, explain, knocks, sys};
use crate::ban::Change;

impl Nftables {
    /// Lays it with these bans, in place of any that is there.
    pub(super) fn lay(&mut self, bans: &[Change], now: Timestamp) -> Result<(), Failure> {
        let counters = self.names.iter().flat_map(|names| {
            let of = move |family| Outcome::ALL.map(|outcome| names.counter(family, outcome));
            Family::ALL.into_iter().flat_map(of)
        });
        let counts = counters.filter_map(|name| Some((name.clone(), count(&self.socket, &name).ok()?)));
        let all = bans
            .iter()
            .flat_map(|change| change.bans.iter().map(|ban| (change.subject, ban.jail)));
        // Where there is no table yet, nothing has been counted.
        let all = self.state()?.map(|_| all);
        let before = knocks::before_if_told(&self.socket, &self.names, all.into_iter().flatten()).unwrap_or_default();
        let interfaces = self.hook.present(&self.interfaces);
        let layout = Layout {
            jails: &self.jails,
            names: &self.names,
            hook: &self.hook,
            interfaces: &interfaces,
            allowed: &self.allowed,
            counts: &counts.collect(),
            count_only: self.count_only,
            before: &before,
        };
        self.bans = ruleset::lay(&self.socket, layout, bans, now)?;
        self.entries.note(self.bans.len());
        self.laid = self.state()?;
        if matches!(self.hook, Hook::Ingress(_)) && interfaces.is_empty() {
            tracing::warn!(
                "there is none of the interfaces at whose ingress nftables is to look; nothing is dropped until there is"
            );
        }
        self.interfaces = interfaces;
        Ok(())
    }

    /// Lays the table anew with all that it held, if somebody else has removed it, put it to sleep or changed its rules, and if interfaces
    /// that it is tied to have come or gone. `nft flush ruleset` removes it, and with it every reload of Debian's nftables service.
    pub(super) fn mend(&mut self, look: Look) -> anyhow::Result<()> {
        let found = self
            .state()
            .context("nftables: the table inet blocker cannot be read")?;
        let have_changed = self.hook.present(&self.interfaces) != self.interfaces;
        let is_as_laid = match (found, self.laid) {
            (Some(found), Some(laid)) => found.rules == laid.rules && (look == Look::Quick || found == laid),
            (found, laid) => found == laid,
        };
        if is_as_laid && !have_changed {
            return Ok(());
        }
        if have_changed {
            tracing::info!("interfaces have come or gone; laying the table inet blocker again");
        } else {
            tracing::warn!("somebody has removed or changed the table inet blocker; laying it again");
        }
        // The ends are reckoned from a time and back from the same; it does not matter which.
        let now = Timestamp::UNIX_EPOCH;
        let changes = self.bans.changes(Instant::now(), now);
        self.lay(&changes, now).map_err(explain)
    }

    /// What shows whether the table is as it was laid; none where there is none.
    pub(super) fn state(&self) -> nix::Result<Option<State>> {
        let mut hasher = DefaultHasher::new();
        let (mut is_there, mut rules) = (false, 0);
        for answer in self.socket.exchange([sys::table_request().as_slice()])?.all {
            match answer {
                Answer::Data(message) => {
                    let flags = sys::table_flags(&message);
                    is_there |= flags.is_some();
                    flags.hash(&mut hasher);
                }
                Answer::Refused(_, Errno::ENOENT) => return Ok(None),
                Answer::Refused(_, errno) => return Err(errno),
                Answer::Done(_) => {}
            }
        }
        for answer in self.socket.exchange([sys::rules_request().as_slice()])?.all {
            match answer {
                Answer::Data(message) => {
                    let rule = sys::rule(&message);
                    rules += usize::from(rule.is_some());
                    rule.hash(&mut hasher);
                }
                // It went meanwhile.
                Answer::Refused(_, Errno::ENOENT) => return Ok(None),
                Answer::Refused(_, errno) => return Err(errno),
                Answer::Done(_) => {}
            }
        }
        let flags_and_rules = hasher.finish();
        Ok(is_there.then_some(State { rules, flags_and_rules }))
    }
}

/// How closely the table is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Whether it is there with all its rules: before each change.
    Quick,
    /// Whether they are the ones that were laid, and awake.
    Close,
}

/// What shows whether a table is as it was laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    rules: usize,
    /// As one number.
    flags_and_rules: u64,
}
