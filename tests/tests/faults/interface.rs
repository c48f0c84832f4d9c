//! The relay's interface is removed and made anew, again and again, while a banned host knocks.

use std::time::{Duration, Instant};

use blocker::firewall::interfaces::SPACING;
use blocker_lab::smtp::Reach;
use blocker_tests::knocking::{Knocking, Observer};
use blocker_tests::{eventually, on_both_firewalls};

use super::*;

const ROUNDS: usize = 10;

fn nothing_gets_through_an_interface_that_is_covered_again(firewall: &str) {
    let relay = Relay::new("3600");
    let observer = Observer::new(&relay, spammer());
    let mut agent = relay.start(firewall);
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    let mut knocking = Knocking::begin(&relay, spammer());
    knocking.go_on();
    let (mut came_through, mut uncovered) = ([0, 0], [Duration::ZERO; 2]);
    for round in 0..ROUNDS {
        // By turns at once, and after the agent has seen that it is gone: as with a driver that is loaded anew.
        let turn = round % 2;
        relay.lab.unplug_relay().unwrap();
        if turn == 1 && firewall == "xdp" {
            agent.says(&["WARN", "eth0", "the interface is gone"]);
            let gone = Instant::now();
            eventually("the agent may look again", || gone.elapsed() > 3 * SPACING);
        }
        let (back, before) = (Instant::now(), observer.arrived());
        relay.lab.plug_relay().unwrap();
        if firewall == "xdp" {
            agent.says(&["INFO", "the XDP program is attached", "interface=eth0"]);
        }
        uncovered[turn] = uncovered[turn].max(back.elapsed());
        // Until then an interface that is new is open to everybody; from then on it is not.
        let covered = observer.arrived();
        came_through[turn] += covered - before;
        eventually("the relay is there again", || relay.honest_reach(587) == Reach::Open);
        knocking.go_on();
        assert_eq!(
            observer.arrived(),
            covered,
            "round {round}: let in after it was covered"
        );
        assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer, "round {round}");
    }
    let sent = knocking.end();
    assert_eq!(relay.metric(ACTIVE), 1);
    if firewall == "nftables" {
        assert_eq!(came_through, [0, 0], "nftables is tied to no interface");
    }
    let [at_once, later] = came_through;
    println!(
        "{firewall}: eth0 made anew {ROUNDS} times under {sent} SYNs of a banned host; before it was covered again {at_once} of them came \
         through where it was back at once, {later} where the agent had seen it go; covered within {uncovered:.1?}"
    );
}

on_both_firewalls! {
    nothing_gets_through_an_interface_that_is_covered_again
}
