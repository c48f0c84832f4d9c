use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;

use super::*;
use crate::ban::Origin;
use crate::firewall::interfaces::LinkWatch;
use crate::firewall::{Counted, Coverage, Firewall, InForce, Kind, Knocks};
use crate::ledger::Allowlist;
use crate::ledger::brake::Limits;

/// A kernel that holds nothing, and has no room for any ban.
struct Full {
    asked: Arc<AtomicUsize>,
}

impl Firewall for Full {
    fn kind(&self) -> Kind {
        Kind::Xdp
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }

    fn apply(&mut self, changes: &[Change], _now: Timestamp) -> Vec<Rejected> {
        self.asked.fetch_add(changes.len(), Ordering::Relaxed);
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

    fn counters(&self) -> anyhow::Result<Vec<Counted>> {
        Ok(Vec::new())
    }

    fn coverage(&self) -> Vec<Coverage> {
        Vec::new()
    }

    fn refresh(&mut self, _in_force: &mut dyn InForce, _now: Instant) {}

    fn knocks(&self, _now: Timestamp, _each: &mut dyn FnMut(Knocks)) -> anyhow::Result<()> {
        Ok(())
    }

    fn knocks_of(&self, _subjects: &[Subject], _now: Timestamp) -> anyhow::Result<Vec<Knocks>> {
        Ok(Vec::new())
    }
}

#[test]
fn what_the_kernel_has_refused_is_not_taken_for_somebody_elses_change() {
    let now = Timestamp::now();
    let asked = Arc::new(AtomicUsize::new(0));
    let firewall: SharedFirewall = Arc::new(Mutex::new(Some(Box::new(Full {
        asked: Arc::clone(&asked),
    }))));
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Vec::new(), SignedDuration::from_hours(1), now).unwrap();
    let mut judge = Judge {
        pulse: Pulse::new(),
        jails: Vec::new(),
        ledger: Ledger::new(Allowlist::default()),
        store,
        brake: Brake::new(Limits::default(), Arc::default()),
        looked: now,
        metrics: Arc::new(Metrics::new(&[], &[], Arc::clone(&firewall))),
        firewall,
        refused: BTreeSet::new(),
        retry: now,
        compared: now,
        compare_after: COMPARE,
        links: LinkWatch::open().unwrap(),
        dry_run: false,
    };
    let ban = |address: &str| Ban {
        subject: address.parse().unwrap(),
        jail: JailId(0),
        origin: Origin::Jail,
        since: now,
        until: Expiry::Never,
        failures: 1,
    };
    let (_, change) = judge.enter(ban("192.0.2.7"), now).unwrap();
    assert_eq!(judge.apply(&[change], now).len(), 1);
    judge.compare(now);
    assert_eq!((asked.load(Ordering::Relaxed), judge.metrics.mended.get()), (1, 0));

    // A ban that the kernel was never asked for is missing there.
    judge.enter(ban("192.0.2.8"), now).unwrap();
    judge.compare(now);
    assert_eq!((asked.load(Ordering::Relaxed), judge.metrics.mended.get()), (2, 1));
}
