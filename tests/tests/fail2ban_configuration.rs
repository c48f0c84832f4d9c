//! The agent runs what an operator has: fail2ban's own configuration as Debian ships it, with broken jails in it, with names in logs.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use blocker_filter_tests::package;
use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::{Agent, program};
use blocker_tests::relay::Relay;

/// The agent on the relay with fail2ban's configuration and an operator's `jail.local` over it.
fn with_local(relay: &Relay, jail_local: &str) -> Command {
    let folder = relay.lab.folder().join("fail2ban");
    let source = package::fail2ban().unwrap().configuration();
    copy(&source, &folder);
    fs::write(folder.join("jail.local"), jail_local).unwrap();
    // Debian enables sshd, whose log the lab does not have.
    fs::remove_file(folder.join("jail.d/defaults-debian.conf")).unwrap();
    let mut command = relay.lab.relay().command(program());
    command.arg("run").arg("--config").arg(folder);
    command.args(["--interface", "eth0"]);
    command.arg("--state").arg(relay.state());
    command
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn fail2bans_own_jails_run_as_they_are() {
    let relay = Relay::new("3600");
    let log = relay.log();
    let local = format!(
        "[postfix]\nenabled = true\nmode = aggressive\nlogpath = {log}\nmaxretry = 2\n\
         [dovecot]\nenabled = true\nlogpath = {log}\nmaxretry = 2\n",
        log = log.display()
    );
    let mut agent = Agent::start(with_local(&relay, &local));
    agent.says(&[" ready ", "jails=postfix,dovecot"]);
    let now = jiff::Timestamp::now();
    for _ in 0..2 {
        relay.write(&format!(
            "{now:.6} relay postfix/smtpd[1]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: x\n\
             {now:.6} relay dovecot: imap-login: Disconnected (auth failed, 1 attempts in 6 secs): user=<u>, method=PLAIN, \
             rip=192.0.2.8, lip=192.0.2.1\n"
        ));
    }
    agent.says(&["INFO banned", "jail=postfix", "address=192.0.2.7 ", "failures=2"]);
    agent.says(&["INFO banned", "jail=dovecot", "address=192.0.2.8 ", "failures=2"]);
    assert_eq!(relay.reach(SPAMMERS[0].into(), 25), Reach::NoAnswer);
    assert_eq!(relay.reach(SPAMMERS[0].into(), 22), Reach::Open);
}

#[test]
fn a_broken_jail_is_skipped_where_that_is_asked_for_and_shows_in_a_metric() {
    let relay = Relay::new("3600");
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&format!(
        "{jail}[bad]\nenabled = true\nport = smtp\nlogpath = {}\n",
        relay.log().display()
    ));
    fs::write(
        relay.config().join("filter.d/bad.conf"),
        "[Definition]\nfailregex = ^(<HOST>\n",
    )
    .unwrap();

    let (status, said) = Agent::start(relay.command("xdp")).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("bad.conf:2:"), "{said}");

    let mut command = relay.command("xdp");
    command.arg("--skip-broken-jails");
    let mut agent = Agent::start(command);
    agent.says(&[
        "ERROR the jail does not run",
        "bad.conf:2:",
        "unclosed group",
        "jail=bad",
    ]);
    agent.says(&[" ready ", "jails=spam"]);
    assert_eq!(relay.metric("blocker_jail_broken{jail=\"bad\"}"), 1);
    assert_eq!(relay.metric("blocker_jail_broken{jail=\"spam\"}"), 0);
    relay.reject(SPAMMERS[0].into(), 2);
    agent.says(&["INFO banned", "jail=spam", "address=192.0.2.7 "]);
}

#[test]
fn a_host_that_the_log_names_is_looked_up_unless_the_jail_says_no() {
    let relay = Relay::new("3600");
    let hosts = relay.lab.folder().join("hosts");
    fs::write(
        &hosts,
        "127.0.0.1 localhost\n192.0.2.7 spammer.example\n192.0.2.8 other.example\n",
    )
    .unwrap();
    let log = relay.log();
    let jail = |name: &str, use_dns: &str| {
        format!(
            "[{name}]\nenabled = true\nport = smtp\nlogpath = {}\nmaxretry = 1\nusedns = {use_dns}\n",
            log.display()
        )
    };
    relay.configure(&(jail("named", "warn") + &jail("strict", "no")));
    for name in ["named", "strict"] {
        let filter = format!("[Definition]\nfailregex = ^ relay {name}: reject <HOST>$\n");
        fs::write(relay.config().join(format!("filter.d/{name}.conf")), filter).unwrap();
    }
    // In a mount namespace of its own the agent has the lab's names.
    let mut command = relay.lab.relay().command("unshare");
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&hosts)
        .arg(program());
    command.args(relay.command("xdp").get_args());
    let mut agent = Agent::start(command);
    agent.says(&[" ready "]);
    let now = jiff::Timestamp::now();
    relay.write(&format!(
        "{now:.6} relay strict: reject other.example\n{now:.6} relay named: reject nobody.invalid\n\
         {now:.6} relay named: reject spammer.example\n"
    ));
    agent.says(&["INFO banned", "jail=named", "address=192.0.2.7 "]);
    let said = agent.said().join("\n");
    assert!(!said.contains("192.0.2.8"), "{said}");
}
