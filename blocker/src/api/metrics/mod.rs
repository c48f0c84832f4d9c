//! Prometheus metrics: what was counted, and what the kernel counts, read when it is asked for.
//!
//! No label ever holds an address: their number must not be an attacker's to choose. A scrape costs the same however many are banned, and
//! waits for nobody. docs/metrics.md has them all.

mod jail;
mod kernel;
pub mod plain;
mod source;

use std::fmt;
use std::hash::Hash;
use std::mem;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::Result;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub use self::jail::JailMetrics;
pub use self::kernel::Seen;
pub use self::source::LineMetrics;

use self::jail::JailFamilies;
use self::kernel::Kernel;
use self::source::SourceFamilies;
use super::model;
use crate::ban::JailId;
use crate::firewall::Firewall;

/// The firewall as several threads reach it; empty once the agent has taken it down.
pub type SharedFirewall = Arc<Mutex<Option<Box<dyn Firewall>>>>;

/// Seconds from a line to the kernel: a quiet agent takes a few milliseconds, one under attack judges more at a time.
const DETECTION: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    families: JailFamilies,
    /// In the order of the jails' identities.
    jails: RwLock<Vec<Arc<JailMetrics>>>,
    seen: Arc<Mutex<Seen>>,
    kernel: Kernel,
    sources: SourceFamilies,
    /// Look-ups for the allowlist that had no answer.
    pub refresh_errors: Counter,
    /// Seconds from when the line that led to a ban was read to when the kernel had the ban.
    pub detection: Histogram,
    /// Digests that were not delivered.
    pub digest_errors: Counter,
    /// Changes that the kernel refused.
    pub refused: Counter,
    /// Differences between kernel and ledger that were found and mended.
    pub mended: Counter,
    /// Connections that were ended since a ban covers them.
    pub connections_ended: Counter,
    /// Whether what would be dropped is only counted: 0 or 1.
    pub dry_run: Gauge,
    ratio: Gauge<f64, AtomicU64>,
    /// Whether bans are on disk before they are enforced.
    pub durable: Gauge,
    /// Whether new bans are held back.
    pub brake: Gauge,
}

impl Metrics {
    /// Metrics for the jails of these names, in the order of their identities, and for those that do not run.
    #[must_use]
    pub fn new(jails: &[String], broken: &[String], firewall: SharedFirewall) -> Self {
        let mut registry = Registry::with_prefix("blocker");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running blocker", build);
        let sources = SourceFamilies::new(&mut registry);
        let families = JailFamilies::new(&mut registry);

        let detection = Histogram::new(DETECTION);
        let help = "From when the line that led to a ban was read to when the kernel had the ban";
        let detection = registered(&mut registry, "detection_seconds", help, detection);
        let help = "Whether bans are on disk before they are enforced; 0 while they are in memory alone";
        let durable = registered(&mut registry, "ledger_durable", help, Gauge::default());
        let help = "Whether the brake holds back new bans";
        let brake = registered(&mut registry, "brake_engaged", help, Gauge::default());
        let help = "Look-ups for the allowlist that had no answer";
        let refresh_errors = registered(&mut registry, "allowlist_refresh_errors", help, Counter::default());
        let help = "Digests that were not delivered";
        let digest_errors = registered(&mut registry, "digest_errors", help, Counter::default());
        let help = "Changes that the kernel refused";
        let refused = registered(&mut registry, "enforcement_errors", help, Counter::default());
        let help = "Hosts and networks for which the kernel did not hold what it is to hold";
        let mended = registered(&mut registry, "enforcement_mended", help, Counter::default());
        let help = "Connections that hosts had open when they were banned, and that were ended";
        let connections_ended = registered(&mut registry, "connections_ended", help, Counter::default());
        let help = "Whether what would be dropped is only counted";
        let dry_run = registered(&mut registry, "dry_run", help, Gauge::default());
        let help = "How much of what is banned the kernel enforces";
        let ratio: Gauge<f64, AtomicU64> = registered(&mut registry, "enforced_ratio", help, Gauge::default());
        ratio.set(1.0);
        let seen = Arc::default();
        let kernel = Kernel::new(Arc::clone(&firewall), Arc::clone(&seen));
        registry.register_collector(Box::new(kernel.clone()));
        let metrics = Self {
            registry,
            families,
            jails: RwLock::default(),
            seen,
            kernel,
            sources,
            refresh_errors,
            digest_errors,
            detection,
            refused,
            mended,
            connections_ended,
            dry_run,
            ratio,
            durable,
            brake,
        };
        let firewall = firewall.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.set_jails(jails, broken, firewall.as_deref());
        drop(firewall);
        metrics
    }

    /// Goes on with the jails of these names, in the order of their identities from now on, and with the firewall that knows them so,
    /// whose lock is held meanwhile; what was counted for a name counts on.
    pub fn set_jails(&self, jails: &[String], broken: &[String], firewall: Option<&dyn Firewall>) {
        self.families.all_run();
        self.sources.none_is_read();
        let metrics: Vec<Arc<JailMetrics>> = jails.iter().map(|name| Arc::new(self.families.jail(name))).collect();
        broken.iter().for_each(|name| self.families.does_not_run(name));
        let now = Seen {
            view: firewall.map(Firewall::view),
            jails: jails.to_vec(),
            active: metrics.iter().map(|jail| jail.active.clone()).collect(),
        };
        let before = mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), now);
        let ended = before.jails.iter().filter(|name| !jails.contains(name));
        ended.for_each(|name| self.families.ends(name));
        *self.jails.write().unwrap_or_else(PoisonError::into_inner) = metrics;
    }

    /// Of so many banned hosts and networks, so many are not enforced.
    pub fn enforced(&self, banned: usize, refused: usize) {
        let ratio = match banned {
            0 => 1.0,
            _ => banned.saturating_sub(refused) as f64 / banned as f64,
        };
        self.ratio.set(ratio);
    }

    /// The counters of one jail.
    #[must_use]
    pub fn jail(&self, jail: JailId) -> Option<Arc<JailMetrics>> {
        let jails = self.jails.read().unwrap_or_else(PoisonError::into_inner);
        jails.get(usize::from(jail.0)).map(Arc::clone)
    }

    /// The counters of the source of this name.
    #[must_use]
    pub fn lines(&self, source: &str) -> LineMetrics {
        self.sources.source(source)
    }

    /// The sources that are read now.
    #[must_use]
    pub fn sources(&self) -> Vec<model::Source> {
        self.sources.all()
    }

    /// How much of what is banned the kernel enforces, from 0 to 1.
    #[must_use]
    pub fn enforced_ratio(&self) -> f64 {
        self.ratio.get()
    }

    /// What there is to see of the firewall now, without waiting for it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.kernel.look()
    }

    /// All metrics as OpenMetrics text; the kernel's counters are read now.
    ///
    /// # Errors
    ///
    /// Only when the text cannot be written. Kernel counters that cannot be read are left out, and logged.
    pub fn encode(&self) -> Result<String> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// Registers a metric, and gives it back to be counted with.
fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Registers counters that labels tell apart.
fn counters<S>(registry: &mut Registry, name: &str, help: &str) -> Family<S, Counter>
where
    S: EncodeLabelSet + Clone + fmt::Debug + Hash + Eq + Send + Sync + 'static,
{
    registered(registry, name, help, Family::default())
}
