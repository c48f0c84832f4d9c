//! The folder of pins is emptied while the agent runs: the kernel goes on dropping, and what is missing is put back.

use std::time::{Duration, Instant};

use blocker_lab::smtp::Reach;
use blocker_tests::eventually_within;
use blocker_tests::knocking::{Knocking, Observer};
use nix::sys::signal::Signal;

use super::*;

/// The agent looks after its pins every minute.
const PATIENCE: Duration = Duration::from_secs(100);

const EMPTY: &str = "rm -r /sys/fs/bpf/blocker/*";
const COUNT: &str = "find /sys/fs/bpf/blocker -type f | wc -l";

fn sh(relay: &Relay, script: &str) -> String {
    relay.output("sh", &["-c", script]).trim().to_owned()
}

#[test]
fn nothing_gets_through_while_pins_are_removed_and_put_back_and_a_restart_finds_them() {
    let relay = Relay::new("3600");
    let observer = Observer::new(&relay, spammer());
    let mut agent = relay.start("xdp");
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    let mut knocking = Knocking::begin(&relay, spammer());
    knocking.go_on();
    let pins = sh(&relay, COUNT);
    sh(&relay, EMPTY);
    let begin = Instant::now();
    assert_eq!(sh(&relay, COUNT), "0");
    knocking.go_on();
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    assert_eq!(relay.reach(SPAMMERS[1].into(), 25), Reach::NoAnswer);
    eventually_within(PATIENCE, "the pins are put back", || sh(&relay, COUNT) == pins);
    let took = begin.elapsed();
    agent.says(&["WARN somebody has removed pins; putting them back"]);
    knocking.go_on();
    agent.signal(Signal::SIGKILL);
    agent.ends();
    knocking.go_on();
    let _agent = relay.start("xdp");
    knocking.go_on();
    let sent = knocking.end();
    assert_eq!(observer.arrived(), 0, "of {sent} SYNs of a banned host");
    assert_eq!(relay.metric(ACTIVE), 2);
    println!(
        "{pins} pins removed and back within {took:.1?}; none of {sent} SYNs of a banned host came through, a restart among them"
    );
}

#[test]
fn a_restart_without_any_pins_has_all_bans() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("xdp");
    for host in SPAMMERS {
        relay.reject(host.into(), 2);
        agent.says(&["INFO banned", &format!("address={host} ")]);
    }
    sh(&relay, EMPTY);
    agent.signal(Signal::SIGKILL);
    agent.ends();
    let begin = Instant::now();
    let mut agent = relay.start("xdp");
    let took = begin.elapsed();
    for host in SPAMMERS {
        assert_eq!(relay.reach(host.into(), 25), Reach::NoAnswer, "{host}");
    }
    assert_eq!(relay.metric(ACTIVE), 3);
    assert!(
        !agent.said().iter().any(|line| line.contains("ERROR")),
        "{:?}",
        agent.said()
    );
    println!(
        "without pins a restart takes {took:.1?}, and has all {} bans",
        SPAMMERS.len()
    );
}

#[test]
fn an_interface_that_comes_after_pins_were_removed_is_covered_and_pinned_with_all_others() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("xdp");
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    let pins = sh(&relay, COUNT);
    sh(&relay, EMPTY);
    let begin = Instant::now();
    relay.lab.unplug_relay().unwrap();
    relay.lab.plug_relay().unwrap();
    agent.says(&["WARN somebody has removed pins; putting them back"]);
    agent.says(&["INFO the XDP program is attached", "interface=eth0"]);
    let took = begin.elapsed();
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    assert_eq!(sh(&relay, COUNT), pins);
    agent.signal(Signal::SIGKILL);
    agent.ends();
    assert_eq!(
        relay.reach(spammer(), 25),
        Reach::NoAnswer,
        "it stays without the agent"
    );
    println!("{pins} pins removed and the interface made anew: covered and pinned within {took:.1?}");
}
