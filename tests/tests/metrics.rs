//! Metrics: a real Prometheus gets from the real agent what was really sent, and the page, the alerts and the dashboard hold.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "metrics/attack.rs"]
mod attack;
#[path = "metrics/dashboard.rs"]
mod dashboard;
#[path = "metrics/page.rs"]
mod page;
#[path = "metrics/prometheus.rs"]
mod prometheus;

use std::net::IpAddr;

use blocker_lab::network::{IGNORED, SPAMMER_V6, SPAMMERS};
use blocker_tests::knocking::knock;
use blocker_tests::on_both_firewalls;
use blocker_tests::relay::Relay;
use nix::sys::signal::Signal;

use self::prometheus::{Prometheus, promtool, promtool_on, workspace};

on_both_firewalls! {
    prometheus_counts_exactly_the_packets_that_were_sent
    what_the_kernel_has_counted_does_not_fall_when_the_agent_is_killed_or_restarted
}

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}

fn dropped(family: &str, firewall: &str) -> String {
    format!("blocker_dropped_packets_total{{jail=\"spam\",family=\"{family}\",firewall=\"{firewall}\"}}")
}

fn prometheus_counts_exactly_the_packets_that_were_sent(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    let prometheus = Prometheus::start(&relay);
    prometheus.comes_to(&dropped("ipv4", firewall), 0.0);
    for banned in [spammer(), SPAMMER_V6.into()] {
        relay.reject(banned, 2);
        agent.says(&["INFO banned"]);
    }
    relay.write("this line has no date\n");
    relay.reject(IGNORED.into(), 3);
    let sent = [(spammer(), "ipv4", 321_u32, 60), (SPAMMER_V6.into(), "ipv6", 123, 80)];
    for (source, family, syns, header) in sent {
        knock(&relay, source, syns);
        let packets = dropped(family, firewall);
        prometheus.comes_to(&packets, syns.into());
        prometheus.comes_to(
            &format!("max_over_time({packets}[1h]) - min_over_time({packets}[1h])"),
            syns.into(),
        );
        // XDP counts Ethernet's header too.
        let length = if firewall == "xdp" { header + 14 } else { header };
        prometheus.comes_to(&packets.replace("packets", "bytes"), (syns * length).into());
    }
    let source = relay.log().display().to_string();
    for (query, value) in [
        ("blocker_bans_total{jail=\"spam\",origin=\"jail\"}", 2.0),
        ("blocker_bans_active{jail=\"spam\"}", 2.0),
        ("blocker_failures_total{jail=\"spam\"}", 7.0),
        (
            &format!("blocker_log_lines_total{{source=\"{source}\",result=\"matched\"}}"),
            7.0,
        ),
        (
            &format!(
                "blocker_log_lines_total{{source=\"{source}\",result=\"missed\"}} + on (source) blocker_log_lines_total{{result=\"undated\"}}"
            ),
            1.0,
        ),
        (&format!("blocker_log_lag_seconds{{source=\"{source}\"}}"), 0.0),
        ("blocker_enforced_ratio", 1.0),
        ("blocker_brake_engaged", 0.0),
        ("blocker_ledger_durable", 1.0),
        ("blocker_detection_seconds_count", 2.0),
        ("blocker_detection_seconds_bucket{le=\"10.0\"}", 2.0),
        ("blocker_map_entries{map=\"ledger\"}", 2.0),
        ("sum(blocker_build_info)", 1.0),
    ] {
        prometheus.comes_to(query, value);
    }
    let maps: &[(&str, f64)] = match firewall {
        "xdp" => &[
            ("blocker_map_entries{map=\"ipv4_hosts\"}", 1.0),
            ("blocker_map_entries{map=\"ipv6_subnets\"}", 1.0),
            ("blocker_map_capacity{map=\"ipv4_hosts\"}", 1_000_000.0),
            ("blocker_firewall_info{interface=\"eth0\",mode=\"driver\"}", 1.0),
        ],
        _ => &[
            ("blocker_map_entries{map=\"nftables\"}", 2.0),
            ("blocker_firewall_info{interface=\"all\",mode=\"nftables\"}", 1.0),
        ],
    };
    for (query, value) in maps {
        prometheus.comes_to(query, *value);
    }
    no_label_holds_an_address(&relay.metrics());
}

fn no_label_holds_an_address(metrics: &str) {
    for line in metrics.lines().filter(|line| line.starts_with("blocker_")) {
        for value in line.split('"').skip(1).step_by(2) {
            assert!(value.parse::<IpAddr>().is_err(), "{line}");
            assert!(value.parse::<ipnet::IpNet>().is_err(), "{line}");
        }
    }
}

fn what_the_kernel_has_counted_does_not_fall_when_the_agent_is_killed_or_restarted(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned"]);
    let prometheus = Prometheus::start(&relay);
    let mut sent = 0;
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        knock(&relay, spammer(), 50);
        sent += 50;
        prometheus.comes_to(&dropped("ipv4", firewall), sent.into());
        agent.signal(signal);
        agent.ends();
        // Counted while no agent is there.
        knock(&relay, spammer(), 25);
        sent += 25;
        agent = relay.start(firewall);
    }
    prometheus.comes_to(&dropped("ipv4", firewall), sent.into());
    prometheus.comes_to(&format!("resets({}[1h])", dropped("ipv4", firewall)), 0.0);
    prometheus.comes_to("blocker_bans_active{jail=\"spam\"}", 1.0);
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let relay = Relay::new("3600");
    let _agent = relay.start("xdp");
    let answer = relay.metrics();
    let (head, metrics) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let (is_content, said) = promtool_on(&["check", "metrics"], metrics);
    assert!(is_content && said.trim().is_empty(), "{said}\n{metrics}");
}

#[test]
fn alerts_fire_when_they_should_and_say_what_to_type() {
    let test = workspace("packaging/prometheus/blocker.rules.test.yml");
    let output = promtool().args(["test", "rules"]).arg(test).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let rules = workspace("packaging/prometheus/blocker.rules.yml");
    let output = promtool()
        .args(["check", "rules", "--lint-fatal"])
        .arg(&rules)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let rules = std::fs::read_to_string(rules).unwrap();
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 5);
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default();
        let text = alert.split_once("description:").map_or("", |(_, text)| text);
        assert!(text.contains("Type `"), "{name} does not say what to type");
    }
}
