//! Each interface is covered by the best that it takes, whatever becomes of it while the agent runs: real interfaces, the real agent.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use blocker::firewall::interfaces::{LinkWatch, list};
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker_lab::Lab;
use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::{Agent, program};
use blocker_tests::relay::Relay;
use blocker_tests::{eventually, interface, require_root};

/// Longer than the time after a change in which the next is not told yet.
const SPACING: Duration = Duration::from_secs(1);

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}

/// The agent on the relay, for these interfaces.
fn command(relay: &Relay, firewall: &str, interfaces: &[&str]) -> Command {
    let mut command = relay.lab.relay().command(program());
    command.arg("run").arg("--config").arg(relay.config());
    command.args(["--firewall", firewall]);
    command.arg("--state").arg(relay.state());
    for interface in interfaces {
        command.args(["--interface", interface]);
    }
    command
}

fn start(relay: &Relay, firewall: &str, interfaces: &[&str]) -> Agent {
    let mut agent = Agent::start(command(relay, firewall, interfaces));
    agent.says(&[" ready "]);
    agent
}

fn ip(relay: &Relay, words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    assert_eq!(relay.output("ip", &words), "");
}

/// Each covered interface and what covers it, as in `eth0 driver`, by the agent's metrics.
fn covered(relay: &Relay) -> Vec<String> {
    let metrics = relay.metrics();
    let samples = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("blocker_firewall_info{"));
    samples
        .map(|labels| {
            let values: Vec<&str> = labels.split('"').skip(1).step_by(2).collect();
            values.join(" ")
        })
        .collect()
}

fn eventually_covered(relay: &Relay, expected: &[&str]) {
    eventually(&format!("covered are {expected:?}"), || covered(relay) == expected);
}

/// Whether the kernel has an XDP program on this interface.
fn has_program(relay: &Relay, interface: &str) -> bool {
    relay
        .output("ip", &["-details", "link", "show", interface])
        .contains("xdp")
}

#[test]
fn several_interfaces_are_covered_each_by_the_best_that_it_takes() {
    let relay = Relay::new("3600");
    ip(&relay, "link add mail0 type veth peer name mail1");
    // Generic only: a bridge's driver has no XDP.
    ip(&relay, "link add mail2 type bridge");
    ip(&relay, "tuntap add dev mail3 mode tun");
    let mut agent = Agent::start(command(&relay, "auto", &["eth0", "mail[023]"]));
    agent.says(&["WARN", "mail2", "not in the driver", "the driver `bridge` has no XDP"]);
    agent.says(&["WARN", "`mail3` is no Ethernet interface", "nftables takes its place"]);
    agent.says(&[" ready ", "firewall=xdp+nftables"]);

    eventually_covered(
        &relay,
        &["eth0 driver", "mail0 driver", "mail2 generic", "mail3 nftables"],
    );
    assert!(!has_program(&relay, "mail1"), "it was not named");

    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    let dropped = |firewall| {
        let labels = format!("{{jail=\"spam\",family=\"ipv4\",firewall=\"{firewall}\"}}");
        relay.metric(&format!("blocker_dropped_packets_total{labels}"))
    };
    assert_eq!(
        (dropped("xdp"), dropped("nftables")),
        (1, 0),
        "no packet is counted twice"
    );

    let (status, said) = agent.stop();
    assert!(status.success(), "{said}");
    for interface in ["eth0", "mail0", "mail2"] {
        assert!(has_program(&relay, interface), "{interface}: bans outlive the agent");
    }
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    let mut next = start(&relay, "auto", &["eth0", "mail0"]);
    eventually_covered(&relay, &["eth0 driver", "mail0 driver"]);
    eventually("what is not meant any more is let go", || !has_program(&relay, "mail2"));
    assert_eq!(
        relay.output("nft", &["list", "tables"]),
        "",
        "nothing needs nftables any more"
    );
    next.stop();
}

#[test]
fn an_interface_that_appears_later_is_covered_and_forgotten_when_it_goes() {
    let relay = Relay::new("3600");
    let mut agent = start(&relay, "xdp", &["eth0", "ppp*"]);
    assert_eq!(covered(&relay), ["eth0 driver"]);

    ip(&relay, "link add ppp0 type veth peer name other");
    agent.says(&["INFO", "the XDP program is attached", "ppp0"]);
    eventually_covered(&relay, &["eth0 driver", "ppp0 driver"]);
    assert!(has_program(&relay, "ppp0"));

    ip(&relay, "link del ppp0");
    agent.says(&["WARN", "ppp0", "the interface is gone"]);
    eventually_covered(&relay, &["eth0 driver"]);

    ip(&relay, "link add ppp0 type bridge");
    eventually_covered(&relay, &["eth0 driver", "ppp0 generic"]);
}

#[test]
fn an_interface_that_takes_no_program_and_appears_later_gets_nftables_with_all_bans() {
    let relay = Relay::new("3600");
    let mut agent = start(&relay, "auto", &["eth0", "tun*"]);
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "firewall=xdp", "address=192.0.2.7 "]);
    assert_eq!(relay.output("nft", &["list", "tables"]), "");

    ip(&relay, "tuntap add dev tun0 mode tun");
    agent.says(&["WARN", "`tun0` is no Ethernet interface"]);
    eventually_covered(&relay, &["eth0 driver", "tun0 nftables"]);
    eventually("nftables is given the ban", || {
        relay.output("nft", &["list", "ruleset"]).contains("192.0.2.7")
    });
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "firewall=xdp+nftables", "address=192.0.2.8 "]);
    assert!(relay.output("nft", &["list", "ruleset"]).contains("192.0.2.8"));
}

#[test]
fn where_xdp_is_insisted_on_an_interface_that_appears_and_refuses_is_logged_and_shown() {
    let relay = Relay::new("3600");
    let mut agent = start(&relay, "xdp", &["eth0", "tun*"]);
    ip(&relay, "tuntap add dev tun0 mode tun");
    agent.says(&["ERROR", "bans are not enforced", "`tun0` is no Ethernet interface"]);
    eventually_covered(&relay, &["eth0 driver", "tun0 nothing"]);
    assert_eq!(relay.output("nft", &["list", "tables"]), "");
}

#[test]
fn down_and_up_and_a_rename_leave_the_program_where_it_is() {
    let relay = Relay::new("3600");
    let mut agent = start(&relay, "xdp", &["eth*"]);
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    let program = |interface| {
        let link = relay.output("ip", &["-details", "link", "show", interface]);
        let (_, rest) = link.split_once("prog/xdp id ").expect("a program is attached");
        rest.split_whitespace().next().expect("it has a number").to_owned()
    };
    let before = program("eth0");

    ip(&relay, "link set eth0 down");
    ip(&relay, "link set eth0 up");
    assert_eq!(program("eth0"), before);
    eventually("the relay answers again", || relay.honest_reach(25) == Reach::Open);
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);

    ip(&relay, "link set eth0 down");
    ip(&relay, "link set eth0 name eth9");
    ip(&relay, "link set eth9 up");
    agent.says(&["INFO", "renamed and stays covered", "from=eth0", "to=eth9"]);
    eventually_covered(&relay, &["eth9 driver"]);
    assert_eq!(program("eth9"), before);
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
}

#[test]
fn an_interface_whose_new_name_is_not_meant_is_given_up_and_taken_again() {
    let relay = Relay::new("3600");
    ip(&relay, "link add mail0 type bridge");
    let mut agent = start(&relay, "auto", &["eth0", "mail*"]);
    ip(&relay, "link set mail0 name internal");
    agent.says(&["WARN", "mail0", "its name is `internal` now"]);
    eventually_covered(&relay, &["eth0 driver"]);
    eventually("the program goes", || !has_program(&relay, "internal"));
    ip(&relay, "link set internal name mail1");
    eventually_covered(&relay, &["eth0 driver", "mail1 generic"]);
}

#[test]
fn somebody_elses_program_is_left_alone_and_its_interface_taken_when_it_goes() {
    let relay = Relay::new("3600");
    ip(&relay, "link add mail0 type veth peer name other");
    relay.attach_somebody_elses_program("mail0");
    let mut ours = Agent::start(command(&relay, "auto", &["eth0", "mail0"]));
    ours.says(&[
        "WARN",
        "another XDP program is attached to `mail0` and is left alone",
        "`blocker`",
        "nftables",
    ]);
    ours.says(&[
        " ready ",
        "eth0 (driver), mail0 (nftables: another XDP program is attached)",
    ]);
    let before = relay.output("ip", &["-details", "link", "show", "mail0"]);
    assert!(before.contains("xdp"));

    // Its end raises no event, and comes a moment after its pin has gone. Any event makes the agent look.
    relay.detach_somebody_elses_program();
    ip(&relay, "link add anything type bridge");
    let mut states = ["up", "down"].iter().cycle();
    eventually("their interface is taken", || {
        ip(&relay, &format!("link set anything {}", states.next().unwrap()));
        covered(&relay) == ["eth0 driver", "mail0 driver"]
    });
    ours.says(&["INFO", "the XDP program is attached", "mail0"]);
}

#[test]
fn a_program_of_the_older_kind_is_left_alone_too() {
    let relay = Relay::new("3600");
    ip(&relay, "link add mail0 type bridge");
    let _theirs = Theirs::attach(&relay, "mail0");
    let before = relay.output("ip", &["-details", "link", "show", "mail0"]);
    for firewall in ["auto", "xdp"] {
        let mut agent = Agent::start(command(&relay, firewall, &["mail0"]));
        agent.says(&["another XDP program is attached to `mail0`"]);
        if firewall == "auto" {
            agent.says(&[" ready ", "firewall=nftables"]);
            agent.stop();
        } else {
            assert_eq!(agent.ends().0.code(), Some(1));
        }
        assert_eq!(relay.output("ip", &["-details", "link", "show", "mail0"]), before);
    }
}

/// A program of somebody else on an interface, attached without a link: by `ip link`, from a pin.
struct Theirs {
    _program: Xdp,
}

impl Theirs {
    fn attach(relay: &Relay, interface: &str) -> Self {
        let program = relay
            .lab
            .relay()
            .enter(|| {
                let mut xdp = Xdp::load(&[], Sizes::default()).unwrap();
                xdp.program().unwrap().pin("/sys/fs/bpf/theirs").unwrap();
                xdp
            })
            .unwrap();
        ip(
            relay,
            &format!("link set dev {interface} xdpgeneric pinned /sys/fs/bpf/theirs"),
        );
        Self { _program: program }
    }
}

#[test]
fn a_program_that_is_not_there_any_more_is_attached_again() {
    let relay = Relay::new("3600");
    let mut agent = start(&relay, "xdp", &["eth0"]);
    // As after `bpftool link detach`: the index is the same, and the program is gone.
    let index = |name| relay.lab.relay().enter(|| interface(name).index).unwrap();
    let before = index("eth0");
    let script = format!("ip link del eth0 && ip link add eth0 index {before} type bridge");
    let _ = relay.output("sh", &["-c", &script]);
    assert_eq!(index("eth0"), before);
    // Whether the agent sees the moment without any interface is a matter of luck.
    agent.says(&["WARN", "eth0"]);
    eventually_covered(&relay, &["eth0 generic"]);
}

#[test]
fn an_interface_that_has_the_index_of_one_that_was_moved_away_is_covered_from_the_start() {
    let relay = Relay::new("3600");
    let add = |peer| format!("link add mail0 index 77 type veth peer name {peer}");
    ip(&relay, &add("other"));
    let mut agent = start(&relay, "xdp", &["mail0"]);
    let _ = agent.stop();
    ip(&relay, &format!("link set mail0 netns {}", relay.lab.spam().name()));
    ip(&relay, &add("another"));
    let mut agent = start(&relay, "xdp", &["mail0"]);
    assert!(has_program(&relay, "mail0"), "{:?}", agent.said());
    let moved = || {
        relay
            .lab
            .spam()
            .command("ip")
            .args(["-d", "link", "show", "mail0"])
            .output()
    };
    eventually("the program goes off the interface that was moved away", || {
        let moved = moved().unwrap();
        assert!(moved.status.success(), "{moved:?}");
        !String::from_utf8_lossy(&moved.stdout).contains("prog/xdp")
    });
}

#[test]
fn jumbo_frames_go_with_the_driver_since_the_program_takes_frames_in_parts() {
    let relay = Relay::new("3600");
    ip(&relay, "link add mail0 mtu 9000 type veth peer name other mtu 9000");
    let _agent = start(&relay, "xdp", &["mail0"]);
    assert_eq!(covered(&relay), ["mail0 driver"]);
}

#[test]
fn a_drivers_refusal_is_told_in_its_own_words() {
    let relay = Relay::new("3600");
    ip(
        &relay,
        "link add mail0 numtxqueues 2 numrxqueues 1 type veth peer name other numtxqueues 4",
    );
    let mut agent = Agent::start(command(&relay, "xdp", &["mail0"]));
    agent.says(&[
        "WARN",
        "mail0",
        "not in the driver",
        "XDP expects number of rx queues not less than peer tx queues",
    ]);
    agent.says(&[" ready ", "mail0 (generic)"]);
}

#[test]
fn every_change_of_an_interface_is_told_and_none_of_another_namespace() {
    require_root();
    let lab = Lab::new().unwrap();
    let mut watch = lab.relay().enter(|| LinkWatch::open().unwrap()).unwrap();
    for change in [
        "link add new0 type bridge",
        "link set new0 up",
        "link set new0 down",
        "link set new0 name new1",
        "link del new1",
    ] {
        blocker_lab::command::ip(&format!("-n {} {change}", lab.relay().name())).unwrap();
        eventually(change, || watch.changed(Instant::now()).unwrap());
    }
    let other = Lab::new().unwrap();
    blocker_lab::command::ip(&format!("-n {} link set lo up", other.relay().name())).unwrap();
    assert!(!watch.changed(Instant::now() + SPACING).unwrap());
}

#[test]
fn more_events_than_the_socket_holds_are_a_reason_to_look_and_no_error() {
    require_root();
    let lab = Lab::new().unwrap();
    let mut watch = lab.relay().enter(|| LinkWatch::open().unwrap()).unwrap();
    let batch: String = (0..1500)
        .map(|n| format!("link set lo {}\n", ["down", "up"][n % 2]))
        .collect();
    blocker_lab::command::ip_batch(lab.relay().name(), &batch).unwrap();
    assert!(watch.changed(Instant::now()).unwrap());
    blocker_lab::command::ip_batch(lab.relay().name(), "link add new0 type bridge\n").unwrap();
    assert!(watch.changed(Instant::now() + SPACING).unwrap(), "it goes on");
    let there = lab.relay().enter(|| list().unwrap()).unwrap();
    assert!(there.iter().any(|interface| interface.name == "new0"));
}
