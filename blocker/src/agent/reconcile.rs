//! Keeps kernel and ledger equal: at the start, when what a former agent left in force is taken over, and every minute.

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;

use crate::ban::{Ban, JailId, Origin};
use crate::firewall::{Firewall, Inherited};
use crate::ledger::{Entry, Ledger};

/// Fills a firewall that is not in force yet: with what is in force from before, there and in the other firewall, and the allowlist.
///
/// Bans of jails that are not configured any more end here.
pub(super) fn take_over(
    firewall: &mut dyn Firewall,
    others: Vec<Inherited>,
    ledger: &mut Ledger,
    jails: &[String],
    now: Timestamp,
) -> Result<()> {
    let inherited = firewall.inherited(now).context("what is in force cannot be read")?;
    let (mut taken, mut lifted) = (0_usize, 0_usize);
    for Inherited { jail, subject, until } in inherited.into_iter().chain(others) {
        let Some(id) = jails.iter().position(|known| *known == jail) else {
            lifted += 1;
            continue;
        };
        let ban = Ban {
            subject,
            // There are at most as many jails as the kernel counts for.
            jail: JailId(id as u16),
            origin: Origin::Jail,
            since: now,
            until,
            failures: 0,
        };
        match ledger.enter(ban) {
            Entry::New(_) | Entry::Extended(_) | Entry::Known => taken += 1,
            Entry::Allowed | Entry::Full => lifted += 1,
        }
    }
    if taken + lifted > 0 {
        tracing::info!(bans = taken, lifted, "bans that were in force are taken over");
    }
    firewall.allow(ledger.allowlist().networks())?;
    let changes: Vec<_> = ledger.changes().collect();
    let rejected = firewall.apply(&changes, now);
    match rejected.first() {
        None => Ok(()),
        // Those that it refused are found and tried again by the next comparison.
        Some(first) if rejected.len() < changes.len() => {
            tracing::error!(
                bans = rejected.len(),
                error = format!("{:#}", first.error),
                "bans are not enforced"
            );
            Ok(())
        }
        Some(first) => bail!("the kernel takes no ban: {:#}", first.error),
    }
}
