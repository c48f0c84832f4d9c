use std::net::Ipv4Addr;
use std::sync::Mutex;

use ipnet::IpNet;
use tempfile::TempDir;

use super::*;
use crate::ban::Origin;
use crate::firewall::interfaces::LinkWatch;
use crate::firewall::{Firewall, InForce, Kind, Knocks, View};
use crate::ledger::Allowlist;
use crate::ledger::brake::Limits;

/// Whom the kernel was asked to ban, one after the other.
type Asked = Arc<Mutex<Vec<Subject>>>;

/// A kernel that holds nothing, and has no room for any ban.
struct Full {
    asked: Asked,
}

impl Firewall for Full {
    fn kind(&self) -> Kind {
        Kind::Xdp
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }

    fn apply(&mut self, changes: &[Change], _now: Timestamp) -> Vec<Rejected> {
        let subjects = changes.iter().map(|change| change.subject);
        self.asked.lock().unwrap().extend(subjects);
        let reject = |change| Rejected {
            change,
            error: anyhow::anyhow!("full"),
        };
        (0..changes.len()).map(reject).collect()
    }

    fn compare(&mut self, wanted: &[Change], _now: Timestamp) -> anyhow::Result<Vec<Change>> {
        Ok(wanted.to_vec())
    }

    fn allow(&mut self, _networks: &[IpNet]) -> anyhow::Result<()> {
        Ok(())
    }

    fn view(&self) -> View {
        View {
            kind: Kind::Xdp,
            coverage: Vec::new(),
            maps: Vec::new(),
            counts: Vec::new(),
        }
    }

    fn refresh(&mut self, _in_force: &mut dyn InForce, _now: Instant) {}

    fn knocks(&self, _now: Timestamp, _each: &mut dyn FnMut(Knocks)) -> anyhow::Result<()> {
        Ok(())
    }

    fn knocks_of(&self, _subjects: &[Subject], _now: Timestamp) -> anyhow::Result<Vec<Knocks>> {
        Ok(Vec::new())
    }
}

/// A judge before that kernel.
fn judge(now: Timestamp) -> (Judge, Asked, TempDir) {
    let asked = Asked::default();
    let firewall: SharedFirewall = Arc::new(Mutex::new(Some(Box::new(Full {
        asked: Arc::clone(&asked),
    }))));
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Vec::new(), SignedDuration::from_hours(1), now).unwrap();
    let unlimited = Limits {
        bans_per_minute: u32::MAX,
        share: 1.0,
        ..Limits::default()
    };
    let judge = Judge {
        pulse: Pulse::new(),
        clock: WallClock::new(),
        jails: Vec::new(),
        lines: Lines::default(),
        ledger: Ledger::new(Allowlist::default()),
        store,
        brake: Brake::new(unlimited, Arc::default()),
        looked: now,
        metrics: Arc::new(Metrics::new(&[], &[], Arc::clone(&firewall))),
        firewall,
        refused: BTreeSet::new(),
        tried: None,
        retry: now,
        renewed: now,
        compared: now,
        compare_after: COMPARE,
        links: LinkWatch::open().unwrap(),
        dry_run: false,
        hangup: None,
        allowing: Allowing::default(),
        asks: std::sync::mpsc::sync_channel(1).1,
        asked: None,
    };
    (judge, asked, folder)
}

fn ban(subject: Subject, now: Timestamp) -> Ban {
    Ban {
        subject,
        jail: JailId(0),
        origin: Origin::Jail,
        since: now,
        until: Expiry::Never,
        failures: 1,
    }
}

#[test]
fn what_the_kernel_has_refused_is_not_taken_for_somebody_elses_change() {
    let now = Timestamp::now();
    let (mut judge, asked, _state) = judge(now);
    let state = |judge: &Judge| (asked.lock().unwrap().len(), judge.metrics.mended.get());
    let (_, change) = judge.enter(ban("192.0.2.7".parse().unwrap(), now), now).unwrap();
    assert_eq!(judge.apply(&[change], now).len(), 1);
    judge.compare(now);
    assert_eq!(state(&judge), (1, 0));

    // A ban that the kernel was never asked for is missing there.
    judge.enter(ban("192.0.2.8".parse().unwrap(), now), now).unwrap();
    judge.compare(now);
    assert_eq!(state(&judge), (2, 1));
}

#[test]
fn all_that_the_kernel_has_refused_is_tried_again_in_turn() {
    let now = Timestamp::now();
    let (mut judge, asked, _state) = judge(now);
    let hosts = (0..).map(|n: u32| Subject::host(Ipv4Addr::from_bits(n).into()));
    let hosts: Vec<Subject> = hosts.take(RETRIES * 2 + 1).collect();
    let enter = |host: &Subject| judge.enter(ban(*host, now), now).unwrap().1;
    let changes: Vec<Change> = hosts.iter().map(enter).collect();
    judge.apply(&changes, now);
    asked.lock().unwrap().clear();
    for second in 0..4 {
        judge.tick(now + SignedDuration::from_secs(second));
    }
    let asked = asked.lock().unwrap();
    let is_in_turn = asked.iter().eq(hosts.iter().chain(&hosts[..RETRIES]));
    assert!(is_in_turn, "all, and then again from the first");
}
