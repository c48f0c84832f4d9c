//! Bans outlive the agent: it is killed, started again and upgraded under traffic, and nothing of a banned host gets through.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::net::IpAddr;

use blocker::ban::Scope;
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker::firewall::{Firewall as _, JailScope};
use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::Agent;
use blocker_tests::knocking::{Knocking, Observer};
use blocker_tests::relay::Relay;
use blocker_tests::{eventually, interface};
use nix::sys::signal::Signal;

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}

fn dropped(relay: &Relay, firewall: &str) -> u64 {
    relay.metric(&format!(
        "blocker_dropped_packets_total{{jail=\"spam\",family=\"ipv4\",firewall=\"{firewall}\"}}"
    ))
}

fn nothing_gets_through_while_the_agent_is_killed_restarted_and_upgraded(firewall: &str) {
    let relay = Relay::new("3600");
    let observer = Observer::new(&relay, spammer());
    let mut first = relay.start(firewall);
    relay.reject(spammer(), 2);
    first.says(&["banned", "address=192.0.2.7 "]);
    let mut knocking = Knocking::begin(&relay, spammer());
    knocking.go_on();
    let counted = dropped(&relay, firewall);

    first.signal(Signal::SIGKILL);
    first.ends();
    knocking.go_on();

    let mut second = relay.start(firewall);
    knocking.go_on();
    assert!(dropped(&relay, firewall) > counted, "counts go on from where they were");
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 1);
    second.stop();
    knocking.go_on();

    // With debug logging another program is loaded: one that tells of packets.
    let mut command = relay.command(firewall);
    command.env("BLOCKER_LOG", "debug");
    let mut third = Agent::start_as_it_is(command);
    third.says(&[" ready "]);
    knocking.go_on();

    let sent = knocking.end();
    assert_eq!(observer.arrived(), 0, "of {sent} SYNs of a banned host");
    let counted = dropped(&relay, firewall);
    // What comes while nftables replaces its table is dropped, but the count of a few milliseconds goes with the former table.
    let lost = if firewall == "nftables" { sent / 20 } else { 0 };
    assert!(
        (sent - lost..=sent).contains(&counted),
        "{counted} of {sent} SYNs are counted"
    );
    assert_eq!(relay.honest_reach(25), Reach::Open);
}

#[test]
fn nothing_gets_through_xdp_while_the_agent_is_killed_restarted_and_upgraded() {
    nothing_gets_through_while_the_agent_is_killed_restarted_and_upgraded("xdp");
}

#[test]
fn nothing_gets_through_nftables_while_the_agent_is_killed_restarted_and_upgraded() {
    nothing_gets_through_while_the_agent_is_killed_restarted_and_upgraded("nftables");
}

#[test]
fn nothing_gets_through_while_the_maps_are_brought_into_another_layout() {
    let relay = Relay::new("3600");
    let observer = Observer::new(&relay, spammer());
    let mut first = relay.start("xdp");
    relay.reject(spammer(), 2);
    first.says(&["banned", "address=192.0.2.7 "]);
    let mut knocking = Knocking::begin(&relay, spammer());
    knocking.go_on();
    first.stop();
    // As if a blocker of another layout had made them.
    let script = "cd /sys/fs/bpf/blocker/net-* && now=$(readlink current) && then=maps-v1-7 && mv $now $then && rm current && ln -s $then current";
    assert_eq!(relay.output("sh", &["-c", script]), "");

    let mut second = Agent::start(relay.command("xdp"));
    second.says(&["INFO", "maps of another layout", "layout=1"]);
    second.says(&[" ready ", "bans=1"]);
    knocking.go_on();
    let sent = knocking.end();
    assert_eq!(observer.arrived(), 0, "of {sent} SYNs of a banned host");
    assert!(dropped(&relay, "xdp") > 0);
    let left = relay.output("sh", &["-c", "ls /sys/fs/bpf/blocker/net-*"]);
    assert!(!left.contains("maps-v1"), "{left}");
}

#[test]
fn stop_leaves_xdp_in_force_and_stop_clear_lifts_its_bans() {
    stop_leaves_bans_in_force_and_stop_clear_lifts_them("xdp");
}

#[test]
fn stop_leaves_nftables_in_force_and_stop_clear_lifts_its_bans() {
    stop_leaves_bans_in_force_and_stop_clear_lifts_them("nftables");
}

fn stop_leaves_bans_in_force_and_stop_clear_lifts_them(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    relay.reject(spammer(), 2);
    agent.says(&["banned", "address=192.0.2.7 "]);
    let blocker = blocker_tests::agent::program();
    let blocker = blocker.to_str().unwrap();
    assert!(relay.output(blocker, &["stop"]).contains("stay in force"));
    let (status, _) = agent.ends();
    assert!(status.success());
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    assert!(
        relay
            .output(blocker, &["stop", "--clear"])
            .contains("no ban is in force")
    );
    eventually("nothing is left in the kernel", || relay.in_kernel().is_empty());
    assert_eq!(relay.reach(spammer(), 25), Reach::Open);
}

#[test]
fn a_second_agent_in_the_same_place_is_refused() {
    let relay = Relay::new("3600");
    let first = relay.start("xdp");
    let (status, said) = Agent::start(relay.command("xdp")).ends();
    assert!(!status.success());
    assert!(said.contains("another agent runs"), "{said}");
    drop(first);
}

#[test]
fn pins_that_somebody_removes_are_put_back() {
    let relay = Relay::new("3600");
    let work = || {
        let folder = std::path::Path::new("/sys/fs/bpf/blocker/test");
        let jail = JailScope {
            name: "spam".to_owned(),
            scope: Scope::tcp(vec![25..=25]),
        };
        let mut xdp = Xdp::open(&[jail], Sizes::default(), folder).unwrap();
        xdp.attach(&interface("eth0")).unwrap();
        xdp.settle().unwrap();
        let pins = || {
            let mut all: Vec<_> = ["links", "current"]
                .iter()
                .flat_map(|part| std::fs::read_dir(folder.join(part)).into_iter().flatten())
                .map(|entry| entry.unwrap().file_name())
                .collect();
            all.sort();
            all
        };
        let before = pins();
        assert!(before.len() > 10, "{before:?}");
        for part in ["links", "current/IPV4_HOSTS", "current", ""] {
            let path = folder.join(part);
            let removed = if path.is_dir() && !path.is_symlink() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.unwrap();
            assert_ne!(pins(), before);
            assert_eq!(xdp.compare(&[], jiff::Timestamp::now()).unwrap(), []);
            assert_eq!(pins(), before, "after {part} was removed");
        }
        drop(xdp);
        assert_eq!(
            relay_programs(),
            1,
            "the program stays without the process that made it"
        );
        Xdp::clear(folder).unwrap();
        // The kernel takes a program off its interface a moment after its last pin has gone.
        eventually("the program goes with its pins", || relay_programs() == 0);
    };
    relay.lab.relay().enter(work).unwrap();
}

#[test]
fn maps_of_starts_that_were_broken_off_do_not_pile_up() {
    let relay = Relay::new("3600");
    let work = || {
        let folder = std::path::Path::new("/sys/fs/bpf/blocker/broken-off");
        let mut first = Xdp::open(&[], Sizes::default(), folder).unwrap();
        first.settle().unwrap();
        for _ in 0..3 {
            // As a process that is killed leaves it: nothing is taken back.
            std::mem::forget(Xdp::open(&[], Sizes::default(), folder).unwrap());
        }
        let maps = std::fs::read_dir(folder).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("maps-")
        });
        assert_eq!(maps.count(), 2, "those in force and those of the last start");
        assert!(folder.join("current/IPV4_HOSTS").exists());
        drop(first);
        Xdp::clear(folder).unwrap();
    };
    relay.lab.relay().enter(work).unwrap();
}

/// XDP programs on the interface of the host that the calling thread is on.
fn relay_programs() -> usize {
    let output = std::process::Command::new("ip")
        .args(["-details", "link", "show", "eth0"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).matches("prog/xdp").count()
}
