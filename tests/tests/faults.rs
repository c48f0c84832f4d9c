//! What goes wrong on a real machine, while lines arrive and banned hosts knock: the agent is killed, the clock is set, an interface goes
//! and comes back, journalctl is killed, pins and databases are removed. Nothing is lost by it, and each test prints what it saw.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/clock_at_rest.rs"]
mod clock_at_rest;
#[path = "faults/interface.rs"]
mod interface;
#[path = "faults/journal.rs"]
mod journal;
#[path = "faults/kill.rs"]
mod kill;
#[path = "faults/ledger.rs"]
mod ledger;
#[path = "faults/pins.rs"]
mod pins;

use std::fs;
use std::net::IpAddr;

use blocker_lab::network::SPAMMERS;
use blocker_tests::relay::Relay;

const ACTIVE: &str = "blocker_bans_active{jail=\"spam\"}";
const FAILURES: &str = "blocker_failures_total{jail=\"spam\"}";

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}

/// One of many hosts that only the log knows.
fn host(n: u32) -> IpAddr {
    IpAddr::from((0x0a64_0000 + n).to_be_bytes())
}

/// Lets as many hosts be banned as a test likes.
fn without_brake(relay: &Relay) {
    let limits = "[brake]\nmax_bans_per_minute = 1000000\nmax_share = 1.0\n";
    fs::write(relay.config().join("blocker.toml"), limits).unwrap();
}
