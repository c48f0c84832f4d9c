//! The ledger outlives the agent: killed at any moment, restarted with many bans, with its database gone, after the kernel has forgotten
//! everything.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "ledger/brake.rs"]
mod brake;
#[path = "ledger/import.rs"]
mod import;
#[path = "ledger/increment.rs"]
mod increment;
#[path = "ledger/renew.rs"]
mod renew;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use blocker::ledger::store::Store;
use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::program;
use blocker_tests::eventually;
use blocker_tests::relay::Relay;
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}

/// What the ledger on disk holds while no agent runs: whom the jail `spam` has banned.
fn on_disk(relay: &Relay) -> BTreeSet<String> {
    let history = SignedDuration::from_hours(24);
    let (store, bans) = Store::open(&relay.state(), vec!["spam".to_owned()], history, Timestamp::now()).unwrap();
    assert!(store.is_durable());
    bans.iter().map(|ban| ban.subject.to_string()).collect()
}

#[test]
fn bans_are_in_force_again_after_the_kernel_has_lost_them() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    agent.signal(Signal::SIGKILL);
    agent.ends();
    // As after the machine was started anew; the log was rotated away too.
    let _ = relay.output("nft", &["flush", "ruleset"]);
    fs::write(relay.log(), "").unwrap();
    assert_eq!(relay.reach(spammer(), 25), Reach::Open);
    let _agent = relay.start("nftables");
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 1);
    assert_eq!(relay.metric("blocker_ledger_durable"), 1);
}

#[test]
fn bans_that_only_the_kernel_holds_are_taken_into_a_new_ledger() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("xdp");
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    agent.stop();
    fs::remove_dir_all(relay.state()).unwrap();
    fs::write(relay.log(), "").unwrap();
    let mut agent = relay.start("xdp");
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    agent.stop();
    assert_eq!(on_disk(&relay), BTreeSet::from(["192.0.2.7".to_owned()]));
}

#[test]
fn stop_clear_lifts_the_ledgers_bans_too() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("xdp");
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    let blocker = program();
    let _ = relay.output(blocker.to_str().unwrap(), &["stop", "--clear"]);
    agent.ends();
    // The lines are still in the log, and young: they have led to a ban, and lead to no second.
    let mut agent = relay.start("xdp");
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 1);
    assert_eq!(relay.reach(spammer(), 25), Reach::Open);
    assert_eq!(relay.reach(SPAMMERS[1].into(), 25), Reach::NoAnswer);
}

#[test]
fn a_database_that_disappears_is_told_of_shown_and_written_anew() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    // A link to nowhere: no folder can be made there.
    let away = relay.lab.folder().join("away");
    fs::rename(relay.state(), &away).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", relay.state()).unwrap();
    agent.says(&["ERROR the ledger cannot be written", "from memory"]);
    eventually("the metric tells", || relay.metric("blocker_ledger_durable") == 0);
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    assert_eq!(relay.reach(SPAMMERS[1].into(), 25), Reach::NoAnswer);
    fs::remove_file(relay.state()).unwrap();
    agent.says(&["the ledger is written again", "bans=2"]);
    eventually("the metric tells", || relay.metric("blocker_ledger_durable") == 1);
    agent.signal(Signal::SIGKILL);
    agent.ends();
    assert_eq!(on_disk(&relay).len(), 2);
}

#[test]
fn two_agents_with_one_ledger_are_refused() {
    let (one, other) = (Relay::new("3600"), Relay::new("3600"));
    let _first = one.start("nftables");
    let mut command = other.lab.relay().command(program());
    command.arg("run").arg("--config").arg(other.config());
    command.args(["--interface", "eth0", "--firewall", "nftables"]);
    command.arg("--state").arg(one.state());
    let (status, said) = blocker_tests::agent::Agent::start(command).ends();
    assert!(!status.success());
    assert!(said.contains("another blocker keeps its ledger in"), "{said}");
}
