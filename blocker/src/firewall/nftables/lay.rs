//! When the table is laid: at the start, and again when somebody else has changed it.

use std::time::Instant;

use anyhow::Context as _;
use blocker_common::map::Outcome;
use blocker_common::packet::Family;
use jiff::Timestamp;
use nix::errno::Errno;

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
        let counts = counters.filter_map(|name| Some((name.clone(), self.count(&name).ok()?)));
        let all = bans
            .iter()
            .flat_map(|change| change.bans.iter().map(|ban| (change.subject, ban.jail)));
        // Where there is no table yet, nothing has been counted.
        let all = (self.count_rules()? > 0).then_some(all);
        let before = knocks::before(&self.socket, &self.names, all.into_iter().flatten());
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
        self.rules = self.count_rules()?;
        if matches!(self.hook, Hook::Ingress(_)) && interfaces.is_empty() {
            tracing::warn!(
                "there is none of the interfaces at whose ingress nftables is to look; nothing is dropped until there is"
            );
        }
        self.interfaces = interfaces;
        Ok(())
    }

    /// Lays the table anew with all that it held, if somebody else has removed it or rules of it, and if interfaces that it is tied to have come or
    /// gone. `nft flush ruleset` does the former, and with it every reload of Debian's nftables service.
    pub(super) fn mend(&mut self) -> anyhow::Result<()> {
        let found = self
            .count_rules()
            .context("nftables: the table inet blocker cannot be read")?;
        let have_changed = self.hook.present(&self.interfaces) != self.interfaces;
        if found == self.rules && !have_changed {
            return Ok(());
        }
        if have_changed {
            tracing::info!("interfaces have come or gone; laying the table inet blocker again");
        } else {
            tracing::warn!("somebody has removed the table inet blocker or rules of it; laying it again");
        }
        // The ends are reckoned from a time and back from the same; it does not matter which.
        let now = Timestamp::UNIX_EPOCH;
        let changes = self.bans.changes(Instant::now(), now);
        self.lay(&changes, now).map_err(explain)
    }

    /// How many rules it has; none where it is not there.
    pub(super) fn count_rules(&self) -> nix::Result<usize> {
        let answers = self.socket.exchange([sys::rules_request().as_slice()])?.all;
        let mut rules = 0;
        for answer in answers {
            match answer {
                Answer::Data(message) => rules += usize::from(sys::is_rule(&message)),
                Answer::Refused(_, Errno::ENOENT) => return Ok(0),
                Answer::Refused(_, errno) => return Err(errno),
                Answer::Done(_) => {}
            }
        }
        Ok(rules)
    }
}
