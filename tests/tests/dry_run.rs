//! A dry run goes the whole way, counts what it would drop in the kernel, drops nothing and leaves nothing.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::net::IpAddr;

use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::Agent;
use blocker_tests::eventually;
use blocker_tests::relay::Relay;
use nix::sys::signal::Signal;

const FIREWALLS: [&str; 2] = ["xdp", "nftables"];

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}

fn start(relay: &Relay, firewall: &str) -> Agent {
    let mut command = relay.command(firewall);
    command.arg("--dry-run");
    Agent::start(command)
}

/// Packets of the spammer that were counted under this name.
fn counted(relay: &Relay, firewall: &str, what: &str) -> u64 {
    relay.metric(&format!(
        "blocker_{what}_packets_total{{jail=\"spam\",family=\"ipv4\",firewall=\"{firewall}\"}}"
    ))
}

#[test]
fn what_would_be_dropped_is_counted_and_passes_and_nothing_is_left() {
    for firewall in FIREWALLS {
        let relay = Relay::new("3600");
        let mut agent = start(&relay, firewall);
        agent.says(&["WARN", "this is a dry run"]);
        relay.reject(spammer(), 2);
        agent.says(&["INFO would be banned", "address=192.0.2.7 "]);
        assert_eq!(relay.reach(spammer(), 25), Reach::Open, "{firewall}");
        eventually("the SYN is counted", || counted(&relay, firewall, "would_drop") > 0);
        assert_eq!(counted(&relay, firewall, "dropped"), 0, "{firewall}");
        assert_eq!(relay.metric("blocker_dry_run"), 1);

        let (status, said) = agent.stop();
        assert!(status.success() && said.contains("nothing of it is left"), "{said}");
        eventually("the kernel has taken everything out", || relay.in_kernel().is_empty());
    }
}

#[test]
fn what_a_killed_dry_run_has_left_becomes_no_ban() {
    for firewall in FIREWALLS {
        let relay = Relay::new("3600");
        let mut agent = start(&relay, firewall);
        relay.reject(spammer(), 2);
        agent.says(&["INFO would be banned", "address=192.0.2.7 "]);
        agent.signal(Signal::SIGKILL);
        agent.ends();
        assert!(!relay.in_kernel().is_empty(), "{firewall}");
        // What the log says is another matter.
        fs::write(relay.log(), "").unwrap();
        let mut next = relay.start(firewall);
        assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 0, "{firewall}");
        assert_eq!(relay.reach(spammer(), 25), Reach::Open, "{firewall}");
        relay.reject(spammer(), 2);
        next.says(&["INFO banned", "address=192.0.2.7 "]);
        assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer, "{firewall}");
    }
}

#[test]
fn bans_that_are_in_force_are_not_lifted_by_a_dry_run() {
    for firewall in FIREWALLS {
        let relay = Relay::new("3600");
        let mut agent = relay.start(firewall);
        relay.reject(spammer(), 2);
        agent.says(&["INFO banned", "address=192.0.2.7 "]);
        agent.stop();
        let (status, said) = start(&relay, firewall).ends();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("bans of an earlier run are in force (1)"), "{said}");
        assert!(said.contains("blocker stop --clear"), "{said}");
        assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer, "{firewall}");
    }
}
