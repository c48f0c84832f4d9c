//! What becomes of bans and failures when the wall clock is set.
//!
//! The kernel ends bans by a clock of its own, which nobody sets. So that nobody is let in early or held too long, everything that is
//! remembered moves with the wall clock: a ban has as long to go as before, and failures lie as far back.

use jiff::Timestamp;

use super::Judge;

impl Judge {
    /// What time it is, after everything has moved if the clock was set.
    pub(super) fn now(&mut self) -> Timestamp {
        let (now, step) = self.clock.read();
        let Some(step) = step else {
            return now;
        };
        tracing::warn!(
            by = format!("{step:#}"),
            bans = self.ledger.count(),
            "the clock was set; bans go on for as long as they would have"
        );
        self.ledger.clock_was_set(step);
        for (_, jail) in &mut self.jails {
            jail.clock_was_set(step);
        }
        self.store.clock_was_set(step, now);
        now
    }
}
