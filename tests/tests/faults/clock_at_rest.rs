//! The clock is set by a day while no agent runs: bans in force stay so, and none for longer than it was to last.

use blocker::ban::Expiry;
use blocker::ledger::store::Store;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::Agent;
use blocker_tests::on_both_firewalls;
use blocker_tests::wall_clock::WallClock;
use jiff::SignedDuration;

use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn bans_stay_and_none_lasts_a_day_longer(firewall: &str) {
    for ahead in [DAY, -DAY] {
        let relay = Relay::new("3600");
        let mut clock = WallClock::new(&relay);
        let start = |clock: &WallClock| {
            let mut command = relay.command(firewall);
            clock.rules(&mut command);
            Agent::start(command)
        };
        let mut agent = start(&clock);
        relay.reject(spammer(), 2);
        agent.says(&["INFO banned", "address=192.0.2.7 "]);
        agent.stop();
        clock.set(ahead);
        let mut agent = start(&clock);
        agent.says(&[" ready ", "bans=1"]);
        assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
        agent.stop();
        let history = SignedDuration::from_hours(24);
        let (_, bans) = Store::open(&relay.state(), vec!["spam".to_owned()], history, clock.now()).unwrap();
        let [ban] = &bans[..] else { panic!("{bans:?}") };
        let Expiry::At(end) = ban.until else {
            panic!("{ban:?} does not end");
        };
        let left = end.duration_since(clock.now());
        assert!(left <= HOUR && left > HOUR - SignedDuration::from_mins(5), "{left:#}");
        println!("{firewall}, the clock set by {ahead:#} while no agent ran: a ban of an hour has {left:#} to go");
    }
}

on_both_firewalls! {
    bans_stay_and_none_lasts_a_day_longer
}
