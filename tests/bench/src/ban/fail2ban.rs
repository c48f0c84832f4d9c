//! fail2ban with its nftables action, and blocker told of the same hosts by the same log.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use blocker_tests::eventually_within;
use blocker_tests::relay::Relay;

use crate::bench::Ground;
use crate::fail2ban::{Fail2ban, failures};
use crate::report::{Report, Table, Unit};
use crate::statistics::Samples;

/// So many hosts: it bans them one by one, and each takes it a process or two.
const BANS: u32 = 500;
/// For all of them, by whom it may concern.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let theirs = theirs(ground)?;
    let ours = ours()?;
    let rows = [("fail2ban", theirs * 1e6), ("blocker", ours * 1e6)];
    let rows = rows.map(|(name, value)| (name.to_owned(), Samples::once(value)));
    let what = format!("a ban, of {BANS} hosts that fail at once");
    report.add(Table::against(&what, Unit::Microseconds, "fail2ban", rows.into()));
    Ok(())
}

/// Seconds a ban.
fn theirs(ground: &Ground) -> Result<f64> {
    let fail2ban = Fail2ban::start(ground)?;
    fail2ban.write(&failures(0..BANS))?;
    // From the first ban on: before it, fail2ban waits for its next look at the log.
    fail2ban.wait_for_bans(1, PATIENCE)?;
    let (begin, before) = (Instant::now(), fail2ban.bans()?);
    let after = fail2ban.wait_for_bans(BANS as usize, PATIENCE)?;
    Ok(begin.elapsed().as_secs_f64() / (after.saturating_sub(before)).max(1) as f64)
}

/// Seconds a ban.
fn ours() -> Result<f64> {
    // One jail, as fail2ban has, which bans at the second failure.
    let relay = Relay::new("3600");
    // Nobody else is in the log, which the brake would take for a filter gone wild.
    fs::write(relay.config().join("blocker.toml"), "[brake]\nmax_share = 1.0\n")?;
    let _agent = relay.start("nftables");
    let text = failures(0..BANS).repeat(2);
    let begin = Instant::now();
    relay.write(&text);
    eventually_within(PATIENCE, "all are banned", || {
        relay.metric("blocker_bans_active{jail=\"spam\"}") >= u64::from(BANS)
    });
    Ok(begin.elapsed().as_secs_f64() / f64::from(BANS))
}
