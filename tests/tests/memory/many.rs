//! Four jails, without bans and with 50,000 of them.

use std::time::{Duration, Instant};

use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::four_jails::{JAILS, fill, settled};
use blocker_tests::knocking::{Knocking, Observer};
use blocker_tests::on_both_firewalls;

use super::*;

on_both_firewalls! {
    four_idle_jails_take_little_memory
    fifty_thousand_bans_take_little_memory_and_are_back_soon_with_nobody_getting_in_meanwhile
}

const BANS: u32 = 50_000;
/// In KiB.
const IDLE: u64 = 20 * MIB + DEBUG;
const FULL: u64 = 40 * MIB + DEBUG;
/// A release takes half a second, and may take one. This is built without much optimisation, on a machine that builds beside it.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });

fn four_idle_jails_take_little_memory(firewall: &str) {
    let relay = four_jails(2);
    let agent = relay.start(firewall);
    let memory = settled(&agent);
    println!("{firewall}: four idle jails take {:.1} MiB", mib(memory));
    assert!(memory <= IDLE, "{memory} KiB");
}

fn fifty_thousand_bans_take_little_memory_and_are_back_soon_with_nobody_getting_in_meanwhile(firewall: &str) {
    let relay = four_jails(2);
    fill(&relay, BANS);
    let start = || {
        let begin = Instant::now();
        let agent = relay.start(firewall);
        (agent, begin.elapsed())
    };
    let (mut agent, first) = start();
    assert_eq!(relay.reach(SPAMMERS[0].into(), 25), Reach::NoAnswer);
    let observer = Observer::new(&relay, SPAMMERS[0].into());
    let mut knocking = Knocking::begin(&relay, SPAMMERS[0].into());
    knocking.go_on();
    agent.stop();
    knocking.go_on();
    let (agent, second) = start();
    knocking.go_on();
    let sent = knocking.end();
    assert_eq!(observer.arrived(), 0, "of {sent} SYNs of a banned host");
    for jail in JAILS {
        let sample = format!("blocker_bans_active{{jail=\"{jail}\"}}");
        assert_eq!(relay.metric(&sample), u64::from(BANS / 4));
    }
    let memory = settled(&agent);
    println!(
        "{firewall}: {BANS} bans in full service {first:.2?} after the start with an empty kernel, {second:.2?} with them in the kernel; \
         they take {:.1} MiB",
        mib(memory)
    );
    assert!(memory <= FULL, "{memory} KiB");
    assert!(first < SOON && second < SOON, "{first:?}, {second:?}");
}
