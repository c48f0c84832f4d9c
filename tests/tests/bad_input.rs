//! What is wrong is said in words that name it and what to do, with exit code 1, and nothing is left in the kernel.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::process::Command;

use blocker_tests::agent::{Agent, program};
use blocker_tests::eventually;
use blocker_tests::relay::Relay;

/// Starts the agent, expects it to fail, and gives what it said.
fn fails(relay: &Relay, command: Command) -> String {
    let (status, said) = Agent::start(command).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    eventually("nothing is left in the kernel", || relay.in_kernel().is_empty());
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn assert_names(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
}

/// What an operator got wrong in jail.conf, in the filter or on the command line, and what he is told.
#[test]
fn every_mistake_is_named_with_its_place_and_what_to_do() {
    let relay = Relay::new("3600");
    let jail = |line: &str| {
        format!(
            "[spam]\nenabled = true\nfilter = spam\nport = smtp\nlogpath = {}\n{line}\n",
            relay.log().display()
        )
    };
    let filter = relay.config().join("filter.d/spam.conf");
    let good_filter = fs::read_to_string(&filter).unwrap();

    let cases: [(&str, String, &str, &[&str]); 8] = [
        (
            "a log that is missing",
            jail("logpath = /nonexistent/mail.log"),
            "",
            &["jail.conf:6:", "/nonexistent/mail.log", "No such file"],
        ),
        (
            "a log that is a folder",
            jail("logpath = /var/log"),
            "",
            &["jail.conf:6:", "/var/log", "is a directory"],
        ),
        (
            "a filter that does not exist",
            jail("filter = smap"),
            "",
            &["jail.conf:6:", "filter.d/smap.conf", "did you mean `spam`?"],
        ),
        (
            "a regex that does not compile",
            jail(""),
            "[Definition]\nfailregex = ^(<HOST>\n",
            &["spam.conf:2:", "^(<HOST>", "unclosed group"],
        ),
        (
            "a failregex without a host",
            jail(""),
            "[Definition]\nfailregex = x\n",
            &["spam.conf:2:", "put <HOST>"],
        ),
        (
            "a key that does not exist",
            jail("maxrety = 2"),
            "",
            &["jail.conf:6:", "maxrety", "did you mean `maxretry`?"],
        ),
        (
            "a time that is none",
            jail("bantime = 1 fortnight"),
            "",
            &["jail.conf:6:", "fortnight"],
        ),
        (
            "no jail enabled",
            "[spam]\n".to_owned(),
            "",
            &["no jail is enabled", "enabled = true"],
        ),
    ];
    for (what, jail_conf, filter_conf, parts) in cases {
        relay.configure(&jail_conf);
        fs::write(
            &filter,
            if filter_conf.is_empty() {
                &good_filter
            } else {
                filter_conf
            },
        )
        .unwrap();
        for firewall in ["xdp", "nftables"] {
            let said = fails(&relay, relay.command(firewall));
            assert!(said.lines().all(|line| line.starts_with("blocker: ")), "{what}: {said}");
            assert_names(&said, parts);
        }
    }
}

#[test]
fn an_interface_that_does_not_exist_is_named_with_those_that_do() {
    let relay = Relay::new("3600");
    for firewall in ["auto", "xdp"] {
        let mut command = relay.command(firewall);
        command.args(["--interface", "eth7"]);
        assert_names(&fails(&relay, command), &["no interface `eth7`", "lo, eth0"]);
    }
}

#[test]
fn missing_capabilities_are_named() {
    let relay = Relay::new("3600");
    let cases = [
        ("xdp", &["CAP_NET_ADMIN", "CAP_BPF", "root"][..]),
        ("nftables", &["CAP_NET_ADMIN", "root"][..]),
    ];
    for (firewall, parts) in cases {
        let mut command = relay.lab.relay().command("setpriv");
        command.args(["--bounding-set=-net_admin,-bpf,-sys_admin", "--inh-caps=-all"]);
        command.arg(program()).args(relay.command(firewall).get_args());
        assert_names(&fails(&relay, command), parts);
    }
}

#[test]
fn a_metrics_address_that_is_taken_is_named_with_the_way_out() {
    let relay = Relay::new("3600");
    let taken = || std::net::TcpListener::bind("127.0.0.1:9919").unwrap();
    let _taken = relay.lab.relay().enter(taken).unwrap();
    for firewall in ["xdp", "nftables"] {
        assert_names(
            &fails(&relay, relay.command(firewall)),
            &["127.0.0.1:9919", "--metrics", "in use"],
        );
    }
}

#[test]
fn somebody_elses_xdp_program_is_an_error_where_xdp_is_insisted_on() {
    let relay = Relay::new("3600");
    relay.attach_somebody_elses_program("eth0");
    let (status, said) = Agent::start(relay.command("xdp")).ends();
    assert_eq!(status.code(), Some(1));
    assert_names(&said, &["another XDP program", "eth0"]);
    assert_eq!(
        relay.in_kernel().len(),
        2,
        "theirs is still there: {:?}",
        relay.in_kernel()
    );
}

#[test]
fn check_says_what_run_would_and_changes_nothing() {
    let relay = Relay::new("3600");
    let check = |arguments: &[&str]| {
        let mut command = relay.lab.relay().command(program());
        command.arg("check").arg("--config").arg(relay.config()).args(arguments);
        command.output().unwrap()
    };
    let good = check(&["--interface", "eth0"]);
    assert!(good.status.success(), "{good:?}");
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert_names(&said, &["jail spam: bans on tcp/25", "all is well"]);
    let bad = check(&["--interface", "eth7"]);
    assert_eq!(bad.status.code(), Some(1));
    assert_names(&String::from_utf8_lossy(&bad.stderr), &["no interface `eth7`"]);
    assert_eq!(relay.in_kernel(), Vec::<String>::new());
}
