//! Another configuration while the agent runs: applied only if it is whole, and nothing that was counted or banned is lost by it.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::Agent;
use blocker_tests::eventually;
use blocker_tests::knocking::{Knocking, Observer};
use blocker_tests::on_both_firewalls;
use blocker_tests::relay::Relay;
use nix::sys::signal::Signal;

on_both_firewalls! {
    jails_that_stay_keep_their_counts_and_bans_while_others_come_and_go
    a_configuration_that_is_not_whole_changes_nothing
    other_thresholds_and_another_allowlist_hold_from_then_on
    no_line_is_lost_or_counted_twice_by_reloads_under_load
    a_reload_while_old_lines_are_read_again_forgets_none_of_them
    bans_that_wait_for_their_jail_come_back_with_it
}

const FIRST: IpAddr = IpAddr::V4(SPAMMERS[0]);
const SECOND: IpAddr = IpAddr::V4(SPAMMERS[1]);
const THIRD: IpAddr = IpAddr::V4(SPAMMERS[2]);

/// While lines come.
const RELOADS: u32 = 30;

const READ_ANEW: &[&str] = &["INFO", "the configuration was read anew"];

/// One more jail over the same log, which bans at the first failure, on port 587.
fn submission(relay: &Relay) -> String {
    format!(
        "\n[submission]\nenabled = true\nfilter = spam[mode=x]\nport = submission\nprotocol = tcp\nlogpath = {}\n\
         bantime = 3600\nmaxretry = 1\n",
        relay.log().display()
    )
}

fn jail_conf(relay: &Relay) -> String {
    fs::read_to_string(relay.config().join("jail.conf")).unwrap()
}

fn reload(agent: &mut Agent) -> String {
    reload_and_say(agent, &[]).swap_remove(0)
}

/// A reload that has other threads of the agent say each of these, which they may before it says what it has changed: what that is, and
/// then theirs.
fn reload_and_say(agent: &mut Agent, each: &[&[&str]]) -> Vec<String> {
    agent.signal(Signal::SIGHUP);
    let mut said = agent.says_each(&[&[&[" ready "], READ_ANEW], each].concat());
    said.remove(0);
    said
}

fn jails_that_stay_keep_their_counts_and_bans_while_others_come_and_go(firewall: &str) {
    let relay = Relay::new("3600");
    let observer = Observer::new(&relay, FIRST);
    let one = jail_conf(&relay);
    let mut agent = relay.start(firewall);
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    let mut knocking = Knocking::begin(&relay, FIRST);
    knocking.go_on();
    relay.reject(SECOND, 1);
    relay.reject(THIRD, 1);

    relay.configure(&(submission(&relay) + &one));
    // The new jail reads what was written before it came, and the one that stays does not count that again.
    let banned = ["192.0.2.7", "192.0.2.8", "192.0.2.9"].map(|host| format!("jail=submission address={host} "));
    let banned = banned.each_ref().map(|host| ["INFO banned", host]);
    let said = reload_and_say(&mut agent, &banned.each_ref().map(|parts| &parts[..]));
    assert!(said[0].contains("added=submission removed= lifted=0"), "{said:?}");
    knocking.go_on();
    assert_eq!(relay.reach(SECOND, 25), Reach::Open, "one failure before, none since");
    relay.reject(SECOND, 1);
    agent.says(&["INFO banned", "jail=spam", "address=192.0.2.8 ", "failures=2"]);
    assert_eq!(relay.reach(SECOND, 25), Reach::NoAnswer);
    assert_eq!(relay.reach(THIRD, 587), Reach::NoAnswer);
    assert_eq!(relay.metric("blocker_failures_total{jail=\"spam\"}"), 5);
    assert_eq!(relay.metric("blocker_bans_active{jail=\"submission\"}"), 3);

    relay.configure(&one);
    let line = reload(&mut agent);
    assert!(line.contains("added= removed=submission lifted=3"), "{line}");
    knocking.go_on();
    assert_eq!(relay.reach(THIRD, 587), Reach::Open);
    assert_eq!(relay.reach(SECOND, 25), Reach::NoAnswer);
    assert_eq!(relay.reach(SECOND, 587), Reach::Open);
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 2);
    assert!(!relay.metrics().contains("bans_active{jail=\"submission\"}"));

    let sent = knocking.end();
    assert_eq!(
        observer.arrived(),
        0,
        "of {sent} SYNs of a banned host, over two reloads"
    );
    println!("{firewall}: two reloads, {sent} SYNs of a banned host, none through");
    // Lifted means lifted: the next agent does not have them either.
    agent.stop();
    relay.configure(&(one + &submission(&relay)));
    let mut next = Agent::start(relay.command(firewall));
    next.says(&[" ready ", "bans=2"]);
}

fn a_configuration_that_is_not_whole_changes_nothing(firewall: &str) {
    let relay = Relay::new("3600");
    let one = jail_conf(&relay);
    let mut agent = relay.start(firewall);
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    relay.reject(SECOND, 1);
    let toml = relay.config().join("blocker.toml");
    for (jails, own, reason) in [
        (one.replace("maxretry = 2", "maxretry = many"), "", "jail.conf:9: "),
        (one.replace("filter   = spam", "filter   = absent"), "", "filter"),
        (
            one.replace("enabled  = true", "enabled  = false"),
            "",
            "no jail is enabled",
        ),
        (String::from("\u{0}\u{1}binary"), "", "jail.conf:1: "),
        (one.clone(), "[firewall]\ninterface = [\"eth0\"]\n", "interfaces"),
        (one.clone(), "[state]\nfolder = \"/var/lib/elsewhere\"\n", ""),
        (
            one.clone(),
            "[metrics]\nlisten = \"203.0.113.9:9919\"\n",
            "203.0.113.9:9919",
        ),
    ] {
        relay.configure(&jails);
        fs::write(&toml, own).unwrap();
        agent.signal(Signal::SIGHUP);
        // The command line says where the ledger lies, over what the file says.
        if reason.is_empty() {
            agent.says(READ_ANEW);
            continue;
        }
        agent.says(&["ERROR the configuration is not taken over: ", reason]);
        agent.says(&["ERROR the agent goes on by the configuration of before"]);
        assert_eq!(relay.reach(FIRST, 25), Reach::NoAnswer, "{reason}");
    }
    relay.reject(SECOND, 1);
    agent.says(&["INFO banned", "jail=spam", "address=192.0.2.8 ", "failures=2"]);
    assert_eq!(relay.reach(SECOND, 25), Reach::NoAnswer);
}

fn other_thresholds_and_another_allowlist_hold_from_then_on(firewall: &str) {
    let relay = Relay::new("3600");
    let one = jail_conf(&relay);
    let mut agent = relay.start(firewall);
    relay.reject(FIRST, 2);
    relay.reject(SECOND, 2);
    for host in ["192.0.2.7", "192.0.2.8"] {
        agent.says(&["INFO banned", &format!("address={host} ")]);
    }
    relay.configure(
        &one.replace("maxretry = 2", "maxretry = 3")
            .replace("ignoreip = ", "ignoreip = 192.0.2.8 "),
    );
    let toml = "[allow]\nnetworks = [\"192.0.2.7\"]\n\n[metrics]\nlisten = \"127.0.0.1:9920\"\n";
    fs::write(relay.config().join("blocker.toml"), toml).unwrap();
    reload_and_say(
        &mut agent,
        &[
            &["INFO unbanned", "address=192.0.2.7 ", "the allowlist covers it now"],
            &[
                "INFO unbanned",
                "address=192.0.2.8 ",
                "the jail's ignoreip covers it now",
            ],
        ],
    );
    assert_eq!(relay.reach(FIRST, 25), Reach::Open);
    assert_eq!(relay.reach(SECOND, 25), Reach::Open);
    relay.reject(THIRD, 2);
    relay.reject(THIRD, 1);
    agent.says(&["INFO banned", "address=192.0.2.9 ", "failures=3"]);
    fs::write(relay.config().join("blocker.toml"), "").unwrap();
    reload(&mut agent);
    assert_eq!(relay.metric("blocker_bans_total{jail=\"spam\",origin=\"jail\"}"), 3);
}

/// Lets the writer come to its end, also when the test fails.
struct EndOfReloads<'a>(&'a AtomicU32);

impl Drop for EndOfReloads<'_> {
    fn drop(&mut self) {
        self.0.store(RELOADS, Ordering::Relaxed);
    }
}

fn no_line_is_lost_or_counted_twice_by_reloads_under_load(firewall: &str) {
    const HOSTS: u32 = 3000;
    let relay = Relay::new("3600");
    let one = jail_conf(&relay);
    let two = submission(&relay).replace("maxretry = 1", "maxretry = 9") + &one;
    let toml = "[brake]\nmax_bans_per_minute = 1000000\nmax_share = 1.0\n";
    fs::write(relay.config().join("blocker.toml"), toml).unwrap();
    let mut agent = relay.start(firewall);
    let host = |n: u32| IpAddr::from([10, 9, (n >> 8) as u8, n as u8]);
    // The writer is ahead of the reloads by so much that each of them falls into its writing.
    let reloads = AtomicU32::new(0);
    thread::scope(|scope| {
        let _end = EndOfReloads(&reloads);
        scope.spawn(|| {
            for n in 0..HOSTS {
                while n >= (reloads.load(Ordering::Relaxed) + 2) * (HOSTS / RELOADS) {
                    thread::park_timeout(Duration::from_millis(1));
                }
                // Two failures make a ban, and every third host has one alone.
                relay.reject(host(n), 1);
                if n >= 50 && (n - 50) % 3 != 0 {
                    relay.reject(host(n - 50), 1);
                }
            }
        });
        for n in 0..RELOADS {
            relay.configure(if n % 2 == 0 { &two } else { &one });
            agent.signal(Signal::SIGHUP);
            agent.says(READ_ANEW);
            reloads.store(n + 1, Ordering::Relaxed);
        }
    });
    let expected = (0..HOSTS - 50).filter(|n| n % 3 != 0).count() as u64;
    eventually("all are banned", || {
        relay.metric("blocker_bans_active{jail=\"spam\"}") >= expected
    });
    // Whatever is still to come of it has come when the agent has ended.
    let (status, said) = agent.stop();
    assert!(status.success());
    let banned: BTreeSet<&str> = said
        .lines()
        .filter(|line| line.contains("INFO banned jail=spam "))
        .filter_map(|line| line.split("address=").nth(1)?.split(' ').next())
        .collect();
    let wanted: BTreeSet<String> = (0..HOSTS - 50)
        .filter(|n| n % 3 != 0)
        .map(|n| host(n).to_string())
        .collect();
    let missing: Vec<_> = wanted.iter().filter(|host| !banned.contains(host.as_str())).collect();
    let wrong: Vec<_> = banned.iter().filter(|host| !wanted.contains(**host)).collect();
    assert_eq!(
        (missing.len(), wrong.len()),
        (0, 0),
        "missing {missing:?}, wrong {wrong:?}"
    );
    println!(
        "{firewall}: {RELOADS} reloads while {} lines came, {expected} bans, none missing, none wrong",
        HOSTS * 2
    );
}

fn a_reload_while_old_lines_are_read_again_forgets_none_of_them(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    relay.reject(FIRST, 1);
    let now = jiff::Timestamp::now();
    let other = format!("{now:.6} relay postfix/smtpd[7]: connect from mail.example[198.51.100.9]\n");
    relay.write(&other.repeat(300_000));
    relay.reject(SECOND, 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    agent.stop();
    let mut agent = relay.start(firewall);
    // What it had counted it does not know yet.
    for _ in 0..2 {
        agent.signal(Signal::SIGHUP);
        agent.says(READ_ANEW);
    }
    relay.reject(FIRST, 1);
    agent.says(&["INFO banned", "address=192.0.2.7 ", "failures=2"]);
}

fn bans_that_wait_for_their_jail_come_back_with_it(firewall: &str) {
    let relay = Relay::new("3600");
    let one = jail_conf(&relay);
    relay.configure(&(one.clone() + &submission(&relay)));
    let mut agent = relay.start(firewall);
    relay.reject(FIRST, 1);
    agent.says(&["INFO banned", "jail=submission", "address=192.0.2.7 "]);
    agent.stop();
    relay.configure(&one);
    let mut agent = relay.start(firewall);
    assert_eq!(relay.reach(FIRST, 587), Reach::Open);
    relay.configure(&(submission(&relay) + &one));
    reload(&mut agent);
    assert_eq!(relay.metric("blocker_bans_active{jail=\"submission\"}"), 1);
    assert_eq!(relay.reach(FIRST, 587), Reach::NoAnswer);
}

#[test]
fn failures_that_wait_for_a_command_still_count_after_a_reload() {
    let relay = Relay::new("3600");
    let asked = relay.lab.folder().join("asked");
    let command = format!("ignorecommand = echo <ip> >> {}; sleep 2; exit 1\n", asked.display());
    relay.configure(&(jail_conf(&relay) + &command));
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    eventually("the command is asked", || asked.exists());
    reload_and_say(&mut agent, &[&["INFO banned", "address=192.0.2.7 ", "failures=2"]]);
}

#[test]
fn nobody_who_lists_bans_without_a_pause_keeps_others_from_being_banned() {
    const MANY: u32 = 20_000;
    let relay = Relay::new("3600");
    let toml = "[brake]\nmax_bans_per_minute = 1000000\nmax_share = 1.0\n";
    fs::write(relay.config().join("blocker.toml"), toml).unwrap();
    let mut agent = relay.start("xdp");
    let now = jiff::Timestamp::now();
    let lines: Vec<String> = (0..MANY)
        .map(|n| {
            let host = IpAddr::from([10, 9, (n >> 8) as u8, n as u8]);
            let line = format!(
                "{now:.6} relay postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[{host}]: 554 5.7.1 <a@domain1.com>: \
                 Relay access denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<spam.example>\n"
            );
            line.repeat(2)
        })
        .collect();
    relay.write(&lines.concat());
    eventually("all are banned", || {
        relay.metric("blocker_bans_active{jail=\"spam\"}") == u64::from(MANY)
    });
    let is_over = AtomicU32::new(0);
    let took = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while is_over.load(Ordering::Relaxed) == 0 {
                    let program = blocker_tests::agent::program();
                    let listed = relay.output(program.to_str().unwrap(), &["bans", "--json"]);
                    assert!(listed.lines().count() >= MANY as usize);
                }
            });
        }
        let began = Instant::now();
        relay.reject(FIRST, 2);
        agent.says(&["INFO banned", "address=192.0.2.7 "]);
        let took = began.elapsed();
        is_over.store(1, Ordering::Relaxed);
        took
    });
    println!("banned in {took:?} while four list {MANY} bans without a pause");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
