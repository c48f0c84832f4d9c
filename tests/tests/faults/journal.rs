//! journalctl is killed a hundred times while entries arrive: each is read, and none twice.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blocker_tests::agent::Agent;
use blocker_tests::journal::Journal;
use blocker_tests::{DEADLINE, eventually, eventually_within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// Jails, each with a part of the journal and so a journalctl of its own: they are killed side by side.
const JAILS: u32 = 4;
const KILLS: usize = 100;

/// The relay's jail, once for each part of the journal.
fn configure(relay: &Relay, journal: &Journal) {
    let jail = |n: u32| {
        format!(
            "[spam{n}]\nenabled = true\nfilter = spam\nport = smtp\nbantime = 3600\nmaxretry = 2\n\
             backend = systemd[journalpath={}]\njournalmatch = SYSLOG_IDENTIFIER=smtpd{n}\n",
            journal.files().display()
        )
    };
    relay.configure(&(0..JAILS).map(jail).collect::<String>());
}

/// One host in three fails only once: whoever reads an entry twice bans it.
const fn fails_twice(n: u32) -> bool {
    !n.is_multiple_of(3)
}

/// Writes until it is over, and says how many hosts have failed.
fn write(journal: &Journal, over: &AtomicBool) -> u32 {
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            return n;
        }
        let message = format!(
            "NOQUEUE: reject: RCPT from unknown[{}]: 554 5.7.1 <a@domain1.com>: Relay access denied; from=<> to=<a@domain1.com>",
            host(n)
        );
        for _ in 0..if fails_twice(n) { 2 } else { 1 } {
            journal.write(&format!("smtpd{}", n % JAILS), message.as_bytes());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
    unreachable!("there are enough numbers");
}

fn sum(relay: &Relay, metric: &str) -> u64 {
    (0..JAILS)
        .map(|n| relay.metric(&format!("{metric}{{jail=\"spam{n}\"}}")))
        .sum()
}

#[test]
fn no_entry_is_lost_and_none_read_twice_when_journalctl_is_killed_again_and_again() {
    let relay = Relay::new("3600");
    without_brake(&relay);
    let journal = Journal::start(&relay);
    configure(&relay, &journal);
    let mut agent = Agent::start(relay.command("nftables"));
    agent.says(&[" ready "]);
    let (over, random, begin) = (AtomicBool::new(false), RandomState::new(), Instant::now());
    let hosts = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&journal, &over));
        let mut killed = BTreeSet::new();
        while killed.len() < KILLS {
            let mut next = None;
            // One that says nothing before it is killed is waited for twice as long the next time.
            eventually_within(3 * DEADLINE, "another journalctl runs", || {
                let children = agent.children("journalctl").into_iter();
                next = children.filter(|child| !killed.contains(child)).min();
                next.is_some()
            });
            // A moment somewhere between its start and well into its work.
            std::thread::park_timeout(Duration::from_millis(random.hash_one(killed.len()) % 100));
            let child = next.unwrap();
            kill(Pid::from_raw(child.try_into().unwrap()), Signal::SIGKILL).unwrap();
            killed.insert(child);
        }
        over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let took = begin.elapsed();
    let twice = u64::from((0..hosts).map(|n| u32::from(fails_twice(n))).sum::<u32>());
    let entries = twice + u64::from(hosts);
    eventually("every entry is read", || {
        sum(&relay, "blocker_failures_total") >= entries
    });
    // Entries are read in order: what is read twice is read by now.
    for jail in 0..JAILS {
        for _ in 0..2 {
            let message = format!(
                "NOQUEUE: reject: RCPT from unknown[192.0.2.{}]: 554 5.7.1 <a@domain1.com>: Relay access denied;",
                jail + 50
            );
            journal.write(&format!("smtpd{jail}"), message.as_bytes());
        }
    }
    eventually("the last are banned", || {
        sum(&relay, "blocker_bans_active") >= twice + u64::from(JAILS)
    });
    assert_eq!(
        sum(&relay, "blocker_failures_total"),
        entries + 2 * u64::from(JAILS),
        "no entry is read twice"
    );
    assert_eq!(sum(&relay, "blocker_bans_active"), twice + u64::from(JAILS));
    println!("{KILLS} kills of journalctl in {took:.1?}; {entries} entries, each read once; {twice} hosts banned");
}
