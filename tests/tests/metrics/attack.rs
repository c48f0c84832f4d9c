//! A scrape is answered within 100 ms, whatever the firewall is busy with and however many are banned.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use blocker::api::metrics::{Metrics, SharedFirewall};
use blocker::ban::{Ban, Change, Enforced, Expiry, JailId, Origin, Scope, Subject};
use blocker::firewall::nftables::{Hook, Nftables};
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker::firewall::{Firewall, JailScope};
use blocker::ledger::store::{Entered, Store};
use blocker::ledger::{Allowlist, Ledger};
use blocker_tests::eventually_within;
use blocker_tests::relay::{Relay, scrape};
use jiff::{SignedDuration, Timestamp};

use super::{knock, spammer};

const MILLION: u32 = 1_000_000;
const LIMIT: Duration = Duration::from_millis(100);
/// Others build on this machine while it tests: of so many scrapes one may be late.
const OF: usize = 50;
/// Hosts that are banned while it is scraped.
const ATTACKERS: u32 = 40_000;
/// For a million bans to come out of a ledger that is not on a fast disk, by an agent that is not optimised.
const LONG: Duration = Duration::from_secs(180);

/// Held by each test here until its hosts are gone. Beside the end of the one with nftables, single scrapes of another agent took 0.2 to
/// 0.3 s: the kernel frees a quarter of a million elements then, and seems to do nothing else on that processor.
static ALONE: Mutex<()> = Mutex::new(());

/// Waits until no other test here keeps the machine busy.
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the attack, also when the test fails.
struct EndOfAttack<'a>(&'a AtomicBool);

impl Drop for EndOfAttack<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long scrapes took.
#[derive(Default)]
struct Scrapes(Vec<Duration>);

impl Scrapes {
    /// Scrapes once, and gives what was answered.
    fn take(&mut self, scrape: impl FnOnce() -> String) -> String {
        let begin = Instant::now();
        let text = scrape();
        self.0.push(begin.elapsed());
        thread::park_timeout(Duration::from_millis(20));
        text
    }

    fn were_answered_in_time(mut self, what: &str) {
        self.0.sort();
        let (count, late) = (self.0.len(), self.0.iter().filter(|took| **took >= LIMIT).count());
        let nth = |n: usize| self.0.get(n).copied().unwrap_or_default();
        let (median, slowest) = (nth(count / 2), nth(count.saturating_sub(1)));
        println!("{what}: {count} scrapes, half of them within {median:.1?}, all within {slowest:.1?}");
        assert!(count >= 5, "{what}: only {count} scrapes, which shows nothing");
        assert!(
            late <= count.div_ceil(OF),
            "{what}: {late} of {count} scrapes took {LIMIT:?} and more, up to {slowest:?}"
        );
    }
}

fn jail() -> JailScope {
    JailScope {
        name: "spam".to_owned(),
        scope: Scope::tcp(vec![25..=25]),
    }
}

fn host(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + n).into()
}

/// Bans of so many hosts are brought into force in one batch, and compared with the kernel, while the metrics are read.
fn scraped_while_busy(firewall: Box<dyn Firewall>, count: u32) {
    let what = format!("{} takes {count} bans", firewall.kind());
    let firewall: SharedFirewall = Arc::new(Mutex::new(Some(firewall)));
    let metrics = Metrics::new(&["spam".to_owned()], &[], Arc::clone(&firewall));
    let now = Timestamp::now();
    let until = Expiry::At(now + SignedDuration::from_hours(1));
    let change = |n| Change {
        subject: Subject::host(host(n)),
        bans: vec![Enforced { jail: JailId(0), until }],
    };
    let changes: Vec<Change> = (0..count).map(change).collect();
    let is_taken = Barrier::new(2);
    let mut scrapes = Scrapes::default();
    let busy = || {
        let mut firewall = firewall.lock().unwrap();
        is_taken.wait();
        let firewall = firewall.as_deref_mut().unwrap();
        assert!(firewall.apply(&changes, Timestamp::now()).is_empty());
        // Not the time from before the batch: by that, each ban would seem to end too early.
        let differing = firewall.compare(&changes, Timestamp::now()).unwrap();
        assert!(differing.is_empty(), "{} of them differ", differing.len());
    };
    thread::scope(|scope| {
        let busy = scope.spawn(busy);
        is_taken.wait();
        while !busy.is_finished() {
            let text = scrapes.take(|| metrics.encode().unwrap());
            assert!(text.contains("blocker_dropped_packets_total{jail=\"spam\""), "{text}");
        }
        busy.join().unwrap();
    });
    let text = scrapes.take(|| metrics.encode().unwrap());
    assert!(text.contains(&format!("\"}} {count}\n")), "{text}");
    scrapes.were_answered_in_time(&what);
}

#[test]
fn a_scrape_does_not_wait_for_a_million_bans_on_their_way_into_xdp() {
    blocker_tests::require_root();
    let _alone = alone();
    let xdp = Xdp::load(&[jail()], Sizes::default()).unwrap();
    scraped_while_busy(Box::new(xdp), MILLION);
}

#[test]
fn a_scrape_does_not_wait_for_many_bans_on_their_way_into_nftables() {
    let _alone = alone();
    let relay = Relay::new("3600");
    let with_nftables = || {
        let mut nftables = Nftables::open(&[jail()], Hook::Prerouting).unwrap();
        nftables.settle().unwrap();
        scraped_while_busy(Box::new(nftables), MILLION / 4);
    };
    relay.lab.relay().enter(with_nftables).unwrap();
}

/// A ledger with a million bans.
fn fill(relay: &Relay) {
    let now = Timestamp::now();
    let history = SignedDuration::from_hours(24);
    let (mut store, _) = Store::open(&relay.state(), vec!["spam".to_owned()], history, now).unwrap();
    for n in 0..MILLION {
        let ban = Ban {
            subject: Subject::host(host(n)),
            jail: JailId(0),
            origin: Origin::Jail,
            since: now,
            until: Expiry::At(now + SignedDuration::from_hours(1)),
            failures: 2,
        };
        store.enter(&ban, Entered::New { bans: 1 });
    }
    store.commit(&Ledger::new(Allowlist::default()), now);
    assert!(store.is_durable());
}

#[test]
fn a_scrape_under_attack_is_answered_within_100_ms_with_a_million_bans() {
    let _alone = alone();
    let relay = Relay::new("3600");
    let toml = "[firewall]\nmax_addresses = 1200000\n[brake]\nmax_bans_per_minute = 4000000\nmax_share = 1.0\n";
    fs::write(relay.config().join("blocker.toml"), toml).unwrap();
    fill(&relay);
    let mut agent = blocker_tests::agent::Agent::start(relay.command("xdp"));
    eventually_within(LONG, "the agent is ready", || {
        agent.said().iter().any(|line| line.contains(" ready "))
    });
    relay.reject(spammer(), 2);
    let is_over = AtomicBool::new(false);
    let active = |text: &str| -> u32 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("blocker_bans_active{jail=\"spam\"} "));
        line.unwrap().trim().parse().unwrap()
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                knock(&relay, spammer(), 1000);
            }
        });
        scope.spawn(|| (MILLION..MILLION + ATTACKERS).for_each(|n| relay.reject(host(n), 2)));
        let until_all_are_banned = || {
            let _end = EndOfAttack(&is_over);
            let mut scrapes = Scrapes::default();
            let begin = Instant::now();
            // All of them, and the one that knocks.
            while active(&scrapes.take(scrape)) <= MILLION + ATTACKERS {
                assert!(begin.elapsed() < LONG, "they are not all banned");
            }
            scrapes
        };
        let scrapes = relay.lab.relay().enter(until_all_are_banned).unwrap();
        scrapes.were_answered_in_time("an agent under attack");
    });
}
