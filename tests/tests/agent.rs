//! The agent from a log line to a dropped packet, on both firewalls: real hosts, real connections; only the mail log is written
//! by the test.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use blocker_lab::network::{IGNORED, IGNORED_BY_NETWORK, RELAY, SPAMMER_V6, SPAMMER_V6_NEIGHBOUR, SPAMMERS};
use blocker_lab::smtp::Reach;
use blocker_tests::agent::Agent;
use blocker_tests::eventually;
use blocker_tests::on_both_firewalls;
use blocker_tests::relay::Relay;
use nix::sys::signal::Signal;

on_both_firewalls! {
    a_spam_host_is_shut_out_of_port_25_and_of_nothing_else
    a_ban_ends_by_itself_and_is_reported
    a_frozen_agent_keeps_nobody_out_for_longer
    bans_go_on_after_the_log_was_rotated
    lines_from_before_the_start_count_if_they_are_young
}

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}

fn a_spam_host_is_shut_out_of_port_25_and_of_nothing_else(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    let spared = [IGNORED.into(), IGNORED_BY_NETWORK.into(), SPAMMERS[1].into()];
    for host in spared {
        assert_eq!(relay.reach(host, 25), Reach::Open);
    }

    relay.reject(SPAMMERS[1].into(), 1);
    relay.reject(IGNORED.into(), 9);
    relay.reject(IGNORED_BY_NETWORK.into(), 9);
    for (banned, told) in [(spammer(), "192.0.2.7"), (SPAMMER_V6.into(), "2001:db8:0:bad::/64")] {
        relay.reject(banned, 2);
        let line = agent.says(&["banned", &format!("address={told} ")]);
        for part in ["jail=spam", "failures=2", &format!("firewall={firewall}"), "until=20"] {
            assert!(line.contains(part), "{line}");
        }
        assert_eq!(relay.reach(banned, 25), Reach::NoAnswer, "{banned}");
        for port in [22, 26, 587] {
            assert_eq!(relay.reach(banned, port), Reach::Open, "{banned} port {port}");
        }
    }
    assert_eq!(
        relay.reach(SPAMMER_V6_NEIGHBOUR.into(), 25),
        Reach::NoAnswer,
        "one subscriber has all of a /64"
    );
    assert!(udp_arrives(&relay), "UDP to port 25 is in no ban");
    for host in spared {
        assert_eq!(relay.reach(host, 25), Reach::Open, "{host}");
    }
    assert_eq!(relay.honest_reach(25), Reach::Open);

    for (family, dropped) in [("ipv4", 1), ("ipv6", 2)] {
        let labels = format!("{{jail=\"spam\",family=\"{family}\",firewall=\"{firewall}\"}}");
        assert_eq!(relay.metric(&format!("blocker_dropped_packets_total{labels}")), dropped);
        assert!(relay.metric(&format!("blocker_dropped_bytes_total{labels}")) >= 40);
    }
    assert_eq!(relay.metric("blocker_bans_total{jail=\"spam\",origin=\"jail\"}"), 2);
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 2);
    assert_eq!(relay.metric("blocker_failures_total{jail=\"spam\"}"), 23);
    let source = relay.log();
    let lines = format!(
        "blocker_log_lines_total{{source=\"{}\",result=\"matched\"}}",
        source.display()
    );
    assert_eq!(relay.metric(&lines), 23);
}

/// Whether a datagram of a banned host reaches the relay's UDP port 25.
fn udp_arrives(relay: &Relay) -> bool {
    let server = relay
        .lab
        .relay()
        .enter(|| UdpSocket::bind((RELAY, 25)).unwrap())
        .unwrap();
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let send = || {
        UdpSocket::bind((spammer(), 0))
            .unwrap()
            .send_to(b"x", (RELAY, 25))
            .unwrap()
    };
    relay.lab.spam().enter(send).unwrap();
    server.recv(&mut [0; 9]).is_ok()
}

fn a_ban_ends_by_itself_and_is_reported(firewall: &str) {
    let relay = Relay::new("5");
    let mut agent = relay.start(firewall);
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    agent.says(&["INFO unbanned", "jail=spam", "address=192.0.2.7 ", "failures=2"]);
    assert_eq!(relay.reach(spammer(), 25), Reach::Open);
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 0);

    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
}

fn a_frozen_agent_keeps_nobody_out_for_longer(firewall: &str) {
    let relay = Relay::new("5");
    let mut agent = relay.start(firewall);
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    agent.signal(Signal::SIGSTOP);
    assert_eq!(
        relay.reach(spammer(), 25),
        Reach::NoAnswer,
        "enforcement does not need the agent"
    );
    eventually("the kernel ends the ban", || relay.reach(spammer(), 25) == Reach::Open);
    agent.signal(Signal::SIGCONT);
    agent.says(&["INFO unbanned", "address=192.0.2.7 "]);
}

fn bans_go_on_after_the_log_was_rotated(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    let rotated = relay.log().with_extension("log.1");

    relay.reject(spammer(), 1);
    fs::rename(relay.log(), &rotated).unwrap();
    relay.reject(spammer(), 1);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);

    // copytruncate
    fs::copy(relay.log(), relay.log().with_extension("log.2")).unwrap();
    fs::write(relay.log(), "").unwrap();
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    assert_eq!(relay.reach(SPAMMERS[1].into(), 25), Reach::NoAnswer);
}

fn lines_from_before_the_start_count_if_they_are_young(firewall: &str) {
    let relay = Relay::new("3600");
    let old = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(30);
    for _ in 0..2 {
        relay.write(&format!(
            "{old:.0} relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.8]: 554 5.7.1 <a@domain1.com>: Relay \
             access denied; from=<> to=<a@domain1.com>\n"
        ));
    }
    relay.reject(spammer(), 2);
    let mut agent = Agent::start(relay.command(firewall));
    agent.says_each(&[&[" ready "], &["INFO banned", "address=192.0.2.7 "]]);
    assert_eq!(relay.reach(SPAMMERS[1].into(), 25), Reach::Open);
    assert!(!agent.said().iter().any(|line| line.contains("192.0.2.8")));
}

#[test]
fn auto_takes_xdp_where_it_can_and_says_where() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("auto");
    let said = agent.said();
    assert!(
        said[0].contains("the XDP program is attached interface=eth0 mode=driver"),
        "{said:?}"
    );
    assert!(said[1].contains("firewall=xdp "), "{said:?}");
    assert_eq!(
        relay.metric("blocker_firewall_info{interface=\"eth0\",mode=\"driver\"}"),
        1
    );
}

#[test]
fn auto_leaves_somebody_elses_program_alone_and_takes_nftables() {
    let relay = Relay::new("3600");
    relay.attach_somebody_elses_program("eth0");
    let mut ours = Agent::start(relay.command("auto"));
    ours.says(&["WARN", "another XDP program", "eth0"]);
    ours.says(&[" ready ", "firewall=nftables"]);
    relay.reject(spammer(), 2);
    ours.says(&["INFO banned", "firewall=nftables"]);
    assert_eq!(relay.in_kernel().len(), 3, "{:?}", relay.in_kernel());
}

#[test]
fn without_any_configuration_the_compiled_in_jails_apply() {
    let relay = Relay::new("3600");
    // In a mount namespace of its own, the lab's folder takes the place of /var/log, and /etc/blocker is not there.
    let script = "mount --bind \"$1\" /var/log && { [ ! -e /etc/blocker ] || mount -t tmpfs none /etc/blocker; } && exec \"$0\" run \
                  --interface eth0 --state \"$2\"";
    let mut command = relay.lab.relay().command("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(blocker_tests::agent::program())
        .arg(relay.lab.folder())
        .arg(relay.state());
    let mut agent = Agent::start(command);
    agent.says(&[
        " ready ",
        "compiled-in configuration",
        "postfix-spam,postfix-sasl,postfix-unknown",
    ]);
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "jail=postfix-spam", "address=192.0.2.7 "]);
    for _ in 0..5 {
        let now = jiff::Timestamp::now();
        relay.write(&format!(
            "{now:.0} relay postfix/submission/smtpd[1]: warning: unknown[192.0.2.8]: SASL LOGIN authentication failed: x\n"
        ));
    }
    agent.says(&["INFO banned", "jail=postfix-sasl", "address=192.0.2.8 ", "failures=5"]);
    assert_eq!(relay.reach(SPAMMERS[1].into(), 587), Reach::NoAnswer);
    assert_eq!(relay.reach(SPAMMERS[1].into(), 22), Reach::Open);
    assert_eq!(
        relay.reach(spammer(), 587),
        Reach::Open,
        "a spam jail's ban covers port 25 only"
    );
}

#[test]
fn a_full_map_is_said_counted_and_filled_up_when_there_is_room() {
    let relay = Relay::new("6");
    fs::write(relay.config().join("blocker.toml"), "[firewall]\nmax_addresses = 1\n").unwrap();
    let mut agent = relay.start("xdp");
    // The kernel keeps a few more slots than asked for, some for each CPU.
    for host in 2..=99 {
        relay.reject(IpAddr::from([203, 0, 113, host]), 2);
    }
    agent.says(&["ERROR a ban is not enforced", "raise `max_addresses`", "blocker.toml"]);
    assert!(relay.metric("blocker_enforcement_errors_total") > 0);
    // Bans end and others get their room while lines are still being read; the errors are what must show.
    eventually("the ledger holds more bans than the kernel has room for", || {
        relay.metric("blocker_bans_active{jail=\"spam\"}") > 30
    });
    agent.says(&["the kernel has taken what it had refused"]);
}

#[test]
fn metrics_are_served_and_the_table_is_laid_again_after_somebody_flushed_it() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert_eq!(relay.output("nft", &["flush", "ruleset"]), "");
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 1);
    agent.says(&["ERROR the firewall's counters cannot be read"]);
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["WARN somebody has removed or changed the table inet blocker"]);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    for host in [SPAMMERS[0], SPAMMERS[1]] {
        assert_eq!(relay.reach(host.into(), 25), Reach::NoAnswer, "{host}");
    }
}

#[test]
fn auto_takes_nftables_beside_xdp_where_packets_have_no_ethernet_header() {
    let relay = Relay::new("3600");
    assert_eq!(relay.output("ip", &["tuntap", "add", "dev", "tun0", "mode", "tun"]), "");
    let mut command = relay.command("auto");
    command.args(["--interface", "tun0"]);
    let mut agent = Agent::start(command);
    agent.says(&["WARN", "`tun0` is no Ethernet interface"]);
    agent.says(&[" ready ", "firewall=xdp+nftables"]);
    let in_kernel = relay.in_kernel();
    assert!(in_kernel.iter().any(|line| line.contains("prog/xdp")), "{in_kernel:?}");
    assert!(in_kernel.contains(&"table inet blocker".to_owned()), "{in_kernel:?}");
}
