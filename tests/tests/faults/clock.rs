//! The clock is set by a day while the agent runs: bans end when they would have, and failures are counted as if nothing had happened.

use std::time::{Duration, Instant, UNIX_EPOCH};

use blocker_lab::smtp::Reach;
use blocker_tests::agent::Agent;
use blocker_tests::wall_clock::WallClock;
use blocker_tests::{eventually, on_both_firewalls};
use jiff::SignedDuration;
use nix::sys::signal::Signal;

use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How long bans last, in seconds.
const BAN: u64 = 15;

/// A relay whose agent goes by a clock that is set.
struct Scene {
    relay: Relay,
    clock: WallClock,
    firewall: &'static str,
}

impl Scene {
    fn start(&self) -> Agent {
        let mut command = self.relay.command(self.firewall);
        self.clock.rules(&mut command);
        let mut agent = Agent::start(command);
        agent.says(&[" ready "]);
        agent
    }

    /// Has a host fail, by the clock as it is set; the log is written when the clock says.
    fn fail(&self, host: IpAddr, times: usize) {
        self.relay.reject_at(host, times, self.clock.now());
        let log = fs::File::options().append(true).open(self.relay.log()).unwrap();
        let now = UNIX_EPOCH + Duration::from_micros(self.clock.now().as_microsecond().unsigned_abs());
        log.set_modified(now).unwrap();
    }

    /// Has a host banned, and says when that was.
    fn ban(&self, agent: &mut Agent, host: IpAddr, times: usize) -> Instant {
        let begin = Instant::now();
        self.fail(host, times);
        agent.says(&["INFO banned", &format!("address={host} "), "failures=2"]);
        begin
    }
}

/// Waits for the end of a ban that began then, and says how long it has lasted.
fn lasts(agent: &mut Agent, host: IpAddr, begin: Instant) -> Duration {
    agent.says(&["INFO unbanned", &format!("address={host} ")]);
    let lasted = begin.elapsed();
    let is_right = (BAN - 1..BAN + 3).contains(&lasted.as_secs());
    assert!(is_right, "the ban of {host} has lasted {lasted:?} of {BAN} s");
    lasted
}

fn bans_end_when_they_would_have(firewall: &'static str, ahead: SignedDuration) {
    let relay = Relay::new(&BAN.to_string());
    let clock = WallClock::new(&relay);
    let mut scene = Scene { relay, clock, firewall };
    let [before, across, after] = SPAMMERS.map(IpAddr::from);
    let [kept, late] = [IpAddr::from([192, 0, 2, 20]), IpAddr::from([192, 0, 2, 21])];

    let mut agent = scene.start();
    let begin = scene.ban(&mut agent, before, 2);
    scene.fail(across, 1);
    eventually_failures(&scene.relay, 3);
    scene.clock.set(ahead);
    agent.says(&["WARN the clock was set", "bans=1"]);
    assert_eq!(scene.relay.reach(before, 25), Reach::NoAnswer);
    let second = scene.ban(&mut agent, across, 1);
    scene.ban(&mut agent, after, 2);
    assert_eq!(scene.relay.metric(ACTIVE), 3);
    for host in [before, across, after] {
        assert_eq!(scene.relay.reach(host, 25), Reach::NoAnswer, "{host}");
    }
    let mut lasted = vec![lasts(&mut agent, before, begin)];
    assert_eq!(scene.relay.reach(before, 25), Reach::Open);
    lasted.push(lasts(&mut agent, across, second));
    let said = agent.said().join("\n");
    assert!(!said.contains("somebody else has changed it"), "{said}");

    // A restart: what was banned is, what has ended is not banned again for lines of another time, and failures are judged.
    let begin = scene.ban(&mut agent, kept, 2);
    agent.signal(Signal::SIGKILL);
    agent.ends();
    let mut agent = scene.start();
    assert_eq!(scene.relay.reach(kept, 25), Reach::NoAnswer);
    // Dates in logs are of whole seconds: so that the two do not end in the same.
    eventually("two seconds have passed", || begin.elapsed() > Duration::from_secs(2));
    let second = scene.ban(&mut agent, late, 2);
    assert_eq!(scene.relay.metric(ACTIVE), 2);
    assert_eq!(scene.relay.reach(before, 25), Reach::Open);
    lasted.push(lasts(&mut agent, kept, begin));

    // And back again.
    scene.clock.set(SignedDuration::ZERO);
    agent.says(&["WARN the clock was set", "bans=1"]);
    lasted.push(lasts(&mut agent, late, second));
    scene.ban(&mut agent, before, 2);
    assert_eq!(scene.relay.metric(ACTIVE), 1);
    println!("{firewall}, the clock set by {ahead:#} and back: bans of {BAN} s have lasted {lasted:.1?}");
}

fn eventually_failures(relay: &Relay, count: u64) {
    eventually("failures are counted", || relay.metric(FAILURES) == count);
}

fn bans_end_when_they_would_have_after_a_day_forward(firewall: &'static str) {
    bans_end_when_they_would_have(firewall, DAY);
}

fn bans_end_when_they_would_have_after_a_day_back(firewall: &'static str) {
    bans_end_when_they_would_have(firewall, -DAY);
}

on_both_firewalls! {
    bans_end_when_they_would_have_after_a_day_forward
    bans_end_when_they_would_have_after_a_day_back
}
