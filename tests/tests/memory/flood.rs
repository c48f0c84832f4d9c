//! A million hosts that fail, as fast as the agent reads: what each jail remembers of them is bounded, and the most suspicious stay.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::eventually_within;
use jiff::Timestamp;

use super::*;

const HOSTS: u32 = 1_000_000;
/// Lines that are written at a time.
const CHUNK: u32 = 10_000;
/// In KiB, with four jails.
const BOUND: u64 = 100 * MIB + DEBUG;
/// For all of them. A release reads as many with four jails in 20 s.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 180 } else { 60 });
/// For an answer in the midst of it.
const PROMPT: Duration = Duration::from_secs(2);
const MAX_RETRY: u32 = 5;

/// A line of a failure for each of these.
fn rejected(hosts: impl Iterator<Item = IpAddr>) -> String {
    let now = Timestamp::now();
    let mut lines = String::new();
    for host in hosts {
        let _ = writeln!(
            lines,
            "{now:.6} relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[{host}]: 554 5.7.1 <a@domain1.com>: Relay \
             access denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<spam.example>"
        );
    }
    lines
}

fn host(n: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + n).to_be_bytes())
}

#[test]
fn a_million_hosts_fill_no_memory_and_do_not_hide_one_that_fails_again_and_again() {
    let relay = four_jails(MAX_RETRY);
    let mut agent = relay.start("xdp");
    let failures = || relay.metric("blocker_failures_total{jail=\"abuse\"}");
    let (early, late) = (IpAddr::from(SPAMMERS[0]), IpAddr::from(SPAMMERS[1]));
    let begin = Instant::now();
    let (mut written, mut most, mut slowest) = (0, 0, Duration::ZERO);
    let mut flood = |lines: &str| {
        relay.write(lines);
        written += lines.lines().count() as u64;
        eventually_within(TIME, "the agent reads on", || {
            let asked = Instant::now();
            let read = failures();
            slowest = slowest.max(asked.elapsed());
            // The log is a little ahead of the agent all the time.
            read + u64::from(CHUNK) >= written
        });
        most = most.max(agent.resident_kib());
    };
    for chunk in 0..HOSTS / CHUNK {
        let hosts = (chunk * CHUNK..(chunk + 1) * CHUNK).map(host);
        // One offender is there from the beginning, another comes when everything is full; each once in so many others.
        let offender = match chunk {
            0..MAX_RETRY => Some(early),
            50.. if chunk < 50 + MAX_RETRY => Some(late),
            _ => None,
        };
        flood(&rejected(hosts.chain(offender)));
    }
    let once = begin.elapsed();
    // Those that fail twice are more suspicious, and have room of their own.
    for chunk in 0..12 {
        let hosts = (chunk * CHUNK / 2..(chunk + 1) * CHUNK / 2).map(|n| host(HOSTS + n));
        flood(&rejected(hosts.flat_map(|host| [host, host])));
    }
    eventually_within(TIME, "all is read", || failures() >= written);
    most = most.max(agent.resident_kib());
    println!(
        "{HOSTS} hosts in {once:.1?}, {:.0} lines/s in four jails; at most {:.1} MiB resident; metrics within {slowest:.0?}",
        f64::from(HOSTS) / once.as_secs_f64(),
        mib(most)
    );
    for (offender, address) in [(early, "address=192.0.2.7 "), (late, "address=192.0.2.8 ")] {
        agent.says(&["INFO banned", address]);
        assert_eq!(relay.reach(offender, 25), Reach::NoAnswer);
    }
    assert_eq!(relay.metric("blocker_bans_active{jail=\"abuse\"}"), 2, "nobody else");
    assert!(most <= BOUND, "{most} KiB");
    assert!(once <= TIME, "{once:?}");
    assert!(slowest <= PROMPT, "{slowest:?}");
}
