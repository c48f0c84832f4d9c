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

use std::fs;
use std::net::IpAddr;

use blocker_lab::network::SPAMMERS;
use blocker_tests::relay::Relay;

const ACTIVE: &str = "blocker_bans_active{jail=\"spam\"}";
const FAILURES: &str = "blocker_failures_total{jail=\"spam\"}";

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}
