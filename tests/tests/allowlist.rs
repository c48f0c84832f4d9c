//! The allowlist's names and SPF records, from a name server to the kernel, with the real agent on both firewalls.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use blocker_lab::dns::NameServer;
use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::{Agent, program};
use blocker_tests::eventually;
use blocker_tests::on_both_firewalls;
use blocker_tests::relay::Relay;

on_both_firewalls! {
    a_ban_is_lifted_when_a_name_comes_to_stand_for_the_host
    a_command_exempts_hosts_of_its_jail
}

const SPAMMER: IpAddr = IpAddr::V4(SPAMMERS[0]);
const OTHER: IpAddr = IpAddr::V4(SPAMMERS[1]);

/// A command of `blocker` in a mount namespace of its own, with the lab's resolv.conf and hosts.
fn in_its_place(relay: &Relay, arguments: &[&str]) -> Command {
    let folder = relay.lab.folder();
    for (file, text) in [
        ("resolv.conf", "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n"),
        ("hosts", "127.0.0.1 localhost\n192.0.2.9 written.example\n"),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
    let script = "mount --bind \"$1/resolv.conf\" /etc/resolv.conf && mount --bind \"$1/hosts\" /etc/hosts && \
                  shift && exec \"$@\"";
    let mut command = relay.lab.relay().command("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(folder)
        .arg(program());
    command
        .args(arguments)
        .arg("--config")
        .arg(relay.config())
        .args(["--interface", "eth0"]);
    command
}

fn run(relay: &Relay, firewall: &str) -> Command {
    let mut command = in_its_place(relay, &["run", "--firewall", firewall]);
    command.arg("--state").arg(relay.state());
    command
}

fn start(relay: &Relay, firewall: &str) -> Agent {
    let mut agent = Agent::start(run(relay, firewall));
    agent.says(&[" ready "]);
    agent
}

fn name_server(relay: &Relay) -> NameServer {
    let socket = relay
        .lab
        .relay()
        .enter(|| UdpSocket::bind("127.0.0.53:53").unwrap())
        .unwrap();
    NameServer::start(socket).unwrap()
}

fn allow(relay: &Relay, toml: &str) {
    fs::write(relay.config().join("blocker.toml"), format!("[allow]\n{toml}\n")).unwrap();
}

fn a_ban_is_lifted_when_a_name_comes_to_stand_for_the_host(firewall: &str) {
    let relay = Relay::new("3600");
    allow(
        &relay,
        "names = [\"friend.example\", \"written.example\"]\nspf = [\"big.example\"]",
    );
    let mut agent = start(&relay, firewall);
    relay.reject(SPAMMER, 2);
    relay.reject(OTHER, 2);
    relay.reject(SPAMMERS[2].into(), 2);
    for address in ["192.0.2.7 ", "192.0.2.8 "] {
        agent.says(&["INFO banned", &format!("address={address}")]);
    }
    let spared = "not banned: the allowlist covers the address jail=spam address=192.0.2.9";
    eventually("a host that /etc/hosts names is spared", || {
        agent.said().iter().any(|line| line.contains(spared))
    });
    let said = agent.said().join("\n");
    assert!(!said.contains("source=written.example"), "/etc/hosts has it: {said}");
    assert_eq!(relay.reach(SPAMMER, 25), Reach::NoAnswer);
    eventually("look-ups fail and are counted", || {
        relay.metric("blocker_allowlist_refresh_errors_total") >= 2
    });

    let server = name_server(&relay);
    server.set("friend.example", 3600, "A", &["192.0.2.7"]).unwrap();
    server
        .set("big.example", 3600, "TXT", &["v=spf1 include:part.example -all"])
        .unwrap();
    server
        .set("part.example", 3600, "TXT", &["v=spf1 ip4:192.0.2.8/31 +all"])
        .unwrap();
    // The look-ups come one after the other, and so may the answers.
    let mut lifted = vec![agent.says(&["INFO unbanned", "reason=\"the allowlist covers it now\""])];
    lifted.push(agent.says(&["INFO unbanned", "reason=\"the allowlist covers it now\""]));
    lifted.sort();
    for address in ["address=192.0.2.7 ", "address=192.0.2.8 "] {
        assert!(lifted.iter().any(|line| line.contains(address)), "{lifted:?}");
    }
    for host in [SPAMMER, OTHER] {
        assert_eq!(relay.reach(host, 25), Reach::Open, "{host}");
    }
    assert!(
        agent.said().iter().any(|line| line.contains("everybody")),
        "{:?}",
        agent.said()
    );
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 0);
    relay.reject(SPAMMER, 2);
    agent.says(&["not banned: the allowlist covers the address", "address=192.0.2.7"]);

    // The next agent knows it, though nobody answers.
    drop(server);
    agent.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(agent.ends().0.success());
    let mut agent = start(&relay, firewall);
    relay.reject(OTHER, 2);
    agent.says(&["not banned: the allowlist covers the address", "address=192.0.2.8"]);
}

/// As soon as a record's time is over, which is a minute at least.
#[test]
fn a_name_that_changes_frees_its_new_address_and_not_its_old_one() {
    let relay = Relay::new("3600");
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&jail.replace("ignoreip = ", "ignoreip = friend.example "));
    allow(&relay, "names = [\"relay.example\"]");
    let server = name_server(&relay);
    server.set("relay.example", 1, "A", &["192.0.2.7"]).unwrap();
    server.set("friend.example", 1, "A", &["192.0.2.11"]).unwrap();
    let began = Instant::now();
    let mut agent = start(&relay, "xdp");
    for host in [
        SPAMMER,
        OTHER,
        IpAddr::from([192, 0, 2, 11]),
        IpAddr::from([192, 0, 2, 12]),
    ] {
        relay.reject(host, 2);
    }
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    agent.says(&["INFO banned", "address=192.0.2.12 "]);
    let said = agent.said().join("\n");
    assert!(!said.contains("banned jail=spam address=192.0.2.11 "), "{said}");
    server.set("relay.example", 1, "A", &["192.0.2.8"]).unwrap();
    server.set("friend.example", 1, "A", &["192.0.2.12"]).unwrap();
    // `says` is not so patient.
    let deadline = began + Duration::from_secs(90);
    while agent.said().iter().filter(|line| line.contains(" unbanned ")).count() < 2 {
        assert!(Instant::now() < deadline, "{:?}", agent.said());
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert!(
        began.elapsed() >= Duration::from_secs(55),
        "no name is asked for more than once a minute"
    );
    let said = agent.said().join("\n");
    for reason in [
        "192.0.2.8 ",
        "192.0.2.12 ",
        "reason=\"the jail's ignoreip covers it now\"",
        "reason=\"the allowlist covers it now\"",
    ] {
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(relay.reach(OTHER, 25), Reach::Open);
    relay.reject(SPAMMER, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert_eq!(relay.reach(SPAMMER, 25), Reach::NoAnswer);
}

fn a_command_exempts_hosts_of_its_jail(firewall: &str) {
    let relay = Relay::new("3600");
    let friend = relay.lab.folder().join("friend");
    fs::write(&friend, "#!/bin/sh\ntest \"$1\" = 192.0.2.7\n").unwrap();
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&format!(
        "{jail}ignorecommand = sh {} <ip>\nignorecache = key=\"<ip>\", max-count=10, max-time=1m\n",
        friend.display()
    ));
    let mut agent = relay.start(firewall);
    relay.reject(SPAMMER, 9);
    relay.reject(OTHER, 2);
    agent.says(&["INFO banned", "address=192.0.2.8 ", "failures=2"]);
    assert_eq!(
        (relay.reach(SPAMMER, 25), relay.reach(OTHER, 25)),
        (Reach::Open, Reach::NoAnswer)
    );
    assert_eq!(relay.metric("blocker_failures_unasked_total{jail=\"spam\"}"), 0);
    agent.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(agent.ends().0.success());
}

#[test]
fn a_ban_of_a_host_that_its_jail_ignores_by_now_is_lifted_at_the_start() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("xdp");
    relay.reject(SPAMMER, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    agent.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(agent.ends().0.success());
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&jail.replace("ignoreip = ", "ignoreip = 192.0.2.7 "));
    // It may be quicker than the word that it is ready.
    let mut agent = Agent::start(relay.command("xdp"));
    agent.says(&[
        "INFO unbanned",
        "address=192.0.2.7 ",
        "reason=\"the jail's ignoreip covers it now\"",
    ]);
    assert_eq!(relay.reach(SPAMMER, 25), Reach::Open);
}

#[test]
fn an_address_that_the_machine_gets_is_never_banned_from_then_on() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("xdp");
    relay.reject(SPAMMER, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert_eq!(relay.output("ip", &["address", "add", "192.0.2.7/32", "dev", "lo"]), "");
    agent.says(&[
        "INFO unbanned",
        "address=192.0.2.7 ",
        "reason=\"the allowlist covers it now\"",
    ]);
    // Dates have seconds: what is of the second of the ban has led to it.
    let spared = "not banned: the allowlist covers the address jail=spam address=192.0.2.7";
    eventually("it is not banned again", || {
        relay.reject(SPAMMER, 2);
        agent.said().iter().any(|line| line.contains(spared))
    });
}

#[test]
fn check_shows_what_the_allowlist_comes_to_and_what_is_not_answered() {
    let relay = Relay::new("3600");
    allow(
        &relay,
        "networks = [\"203.0.113.0/24\"]\nnames = [\"friend.example\"]\nspf = [\"big.example\"]",
    );
    let check = || in_its_place(&relay, &["check"]).output().unwrap();
    let server = name_server(&relay);
    server.set("friend.example", 3600, "A", &["192.0.2.7"]).unwrap();
    server
        .set(
            "big.example",
            3600,
            "TXT",
            &["v=spf1 ip4:192.0.2.128/25 ip4:198.51.100.0/24 exists:%{i}.x -all"],
        )
        .unwrap();
    let output = check();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for line in [
        "allowlist: 203.0.113.0/24, and the machine's own addresses\n",
        "allowlist: friend.example: 192.0.2.7\n",
        "allowlist: spf:big.example: 192.0.2.128/25 198.51.100.0/24\n",
        "each sender",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    drop(server);
    let output = check();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    for source in ["friend.example", "spf:big.example"] {
        assert!(said.contains(&format!("{source}: ")), "{said}");
    }
}

#[test]
fn the_agent_ends_at_once_while_a_reload_waits_for_names() {
    let relay = Relay::new("3600");
    allow(&relay, "names = [\"friend.example\"]");
    // It takes every question and never answers.
    let mute = relay.lab.relay().enter(|| UdpSocket::bind("127.0.0.53:53").unwrap());
    let mute = mute.unwrap();
    let mut agent = start(&relay, "nftables");
    mute.set_nonblocking(true).unwrap();
    while mute.recv(&mut [0; 512]).is_ok() {}
    agent.signal(nix::sys::signal::Signal::SIGHUP);
    eventually("the name is asked for again", || mute.recv(&mut [0; 512]).is_ok());
    let began = Instant::now();
    let (status, said) = agent.stop();
    assert!(status.success(), "{said}");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}: {said}",
        began.elapsed()
    );
}

#[test]
fn names_that_nobody_answers_for_hold_up_neither_a_reload_nor_the_end() {
    let relay = Relay::new("3600");
    // It takes every question and never answers.
    let mute = relay.lab.relay().enter(|| UdpSocket::bind("127.0.0.53:53").unwrap());
    let mute = mute.unwrap();
    mute.set_nonblocking(true).unwrap();
    let mut agent = start(&relay, "nftables");
    for n in 0..60 {
        let now = jiff::Timestamp::now();
        relay.write(&format!(
            "{now:.6} relay postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[h{n}.evil.example]: 554 5.7.1 \
             <a@domain1.com>: Relay access denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<spam.example>\n"
        ));
    }
    eventually("a name is asked for", || mute.recv(&mut [0; 512]).is_ok());
    let began = Instant::now();
    agent.signal(nix::sys::signal::Signal::SIGHUP);
    agent.says(&["INFO the configuration was read anew"]);
    relay.reject(SPAMMER, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let began = Instant::now();
    let (status, said) = agent.stop();
    assert!(status.success(), "{said}");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}: {said}",
        began.elapsed()
    );
}
