//! Bans under the numbers that jails have after a reload.

use std::collections::HashMap;

use super::Ledger;
use crate::ban::JailId;

/// Which number a jail has after a reload, by the one that it had; jails that are gone have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbering(Vec<Option<JailId>>);

impl Renumbering {
    /// From these names, in the order of their numbers, to those.
    #[must_use]
    pub fn new(from: &[String], to: &[String]) -> Self {
        let number = |name: &String| to.iter().position(|known| known == name);
        // There are at most as many jails as the kernel counts for.
        Self(
            from.iter()
                .map(|name| number(name).map(|id| JailId(id as u16)))
                .collect(),
        )
    }

    /// The number of a jail afterwards.
    #[must_use]
    pub fn of(&self, jail: JailId) -> Option<JailId> {
        self.0.get(usize::from(jail.0)).copied().flatten()
    }
}

impl Ledger {
    /// Has every ban counted under its jail's new number. Those of jails that are gone have been lifted before.
    pub fn renumber(&mut self, numbers: &Renumbering) {
        for ban in self.bans.all_mut() {
            if let Some(jail) = numbers.of(ban.jail) {
                ban.jail = jail;
            }
        }
        let active = std::mem::take(&mut self.active).into_iter();
        self.active = active
            .filter_map(|(jail, count)| Some((numbers.of(jail)?, count)))
            .collect::<HashMap<_, _>>();
    }
}
