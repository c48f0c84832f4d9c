//! The real agent, started again with 50,000 bans in force, while a banned host knocks.

use std::time::Instant;

use anyhow::{Result, ensure};
use blocker_lab::network::SPAMMERS;
use blocker_tests::four_jails::{fill, four_jails};
use blocker_tests::knocking::{Knocking, Observer};

use crate::bench::Ground;
use crate::report::{Report, Table, Unit};
use crate::statistics::Samples;

const BANS: u32 = 50_000;
const ROUNDS: usize = 5;
/// Seconds that a restart may take.
const MOST: f64 = 1.0;

pub(super) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    for firewall in ["xdp", "nftables"] {
        let relay = four_jails(2);
        fill(&relay, BANS);
        let mut agent = relay.start(firewall);
        let spammer = SPAMMERS[0].into();
        let observer = Observer::new(&relay, spammer);
        let mut knocking = Knocking::begin(&relay, spammer);
        knocking.go_on();
        let mut times = Vec::new();
        for _ in 0..ground.rounds(ROUNDS) {
            agent.stop();
            let begin = Instant::now();
            agent = relay.start(firewall);
            times.push(begin.elapsed().as_secs_f64());
            knocking.go_on();
        }
        let (sent, arrived) = (knocking.end(), observer.arrived());
        ensure!(sent > 0, "no SYN was sent");
        let what =
            format!("{firewall}: of {sent} SYNs of a banned host over the restarts, those that came past blocker");
        report.at_most(&what, Some(Samples::once(arrived as f64).figure()), 0.0);
        if let Some(times) = Samples::new(times) {
            let what = format!("{firewall}: seconds until a restarted agent with {BANS} bans is ready");
            report.at_most(&what, Some(times.figure()), MOST);
            rows.push((format!("blocker, {firewall}"), times));
        }
    }
    let heading = format!("a restart with {BANS} bans, until the agent is ready");
    report.add(Table::of(&heading, Unit::Seconds, rows));
    Ok(())
}
