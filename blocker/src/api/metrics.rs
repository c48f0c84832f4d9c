//! Prometheus metrics: what was counted, and what the kernel counts, read when it is asked for.
//!
//! No label ever holds an address: their number must not be an attacker's to choose.

use std::fmt;
use std::hash::Hash;
use std::mem;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::Result;
use blocker_common::map::Outcome;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::ban::{JailId, Origin};
use crate::firewall::{Coverage, Firewall};

/// The firewall as several threads reach it; empty once the agent has taken it down.
pub type SharedFirewall = Arc<Mutex<Option<Box<dyn Firewall>>>>;

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    families: JailFamilies,
    /// In the order of the jails' identities.
    jails: RwLock<Vec<Arc<JailMetrics>>>,
    /// Their names.
    names: Arc<RwLock<Vec<String>>>,
    lines: Family<LineLabels, Counter>,
    cut: Family<SourceLabels, Counter>,
    /// Look-ups for the allowlist that had no answer.
    pub refresh_errors: Counter,
    lag: Family<SourceLabels, Gauge<f64, AtomicU64>>,
    /// Changes that the kernel refused.
    pub refused: Counter,
    /// Differences between kernel and ledger that were found and mended.
    pub mended: Counter,
    /// Whether what would be dropped is only counted: 0 or 1.
    pub dry_run: Gauge,
    ratio: Gauge<f64, AtomicU64>,
    /// Whether bans are on disk before they are enforced.
    pub durable: Gauge,
    /// Whether new bans are held back.
    pub brake: Gauge,
}

/// A jail's counters.
#[derive(Clone, Debug)]
pub struct JailMetrics {
    /// Failures that its filter found.
    pub failures: Counter,
    /// Bans that it made.
    pub bans: Counter,
    /// Its bans in force.
    pub active: Gauge,
    /// Its bans that the allowlist did not let happen.
    pub vetoes: Counter,
    /// Its bans that went on, since their host still knocked.
    pub renewed: Counter,
    /// Its bans that the brake held back.
    pub held_back: Counter,
    /// Failures of hosts that have no address that could be banned: a name nobody knows, a network.
    pub unbannable: Counter,
    /// Failures that were dropped, since its `ignorecommand` might have exempted their host and was too slow.
    pub unasked: Counter,
    /// Searches that its filter's expressions gave up at the backtracking limit.
    pub limit_hits: Counter,
}

/// A source's counters: every line is in exactly one of the first four.
#[derive(Clone, Debug)]
pub struct LineMetrics {
    /// Lines in which at least one filter found a failure.
    pub matched: Counter,
    /// Lines in which a filter found a failure that an ignoreregex took back.
    pub ignored: Counter,
    /// Lines in which no filter found anything.
    pub missed: Counter,
    /// Lines without a date that can be read; no filter sees them.
    pub undated: Counter,
    /// Lines longer than what is read of a line; they are counted above too.
    pub cut: Counter,
    /// Seconds by which what is read is behind what was written; 0 when all is read.
    pub lag: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JailLabels {
    jail: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OriginLabels {
    jail: String,
    origin: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LineLabels {
    source: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    jail: String,
    family: &'static str,
    firewall: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InterfaceLabels {
    interface: String,
    mode: &'static str,
}

impl Metrics {
    /// Metrics for the jails of these names, in the order of their identities, and for those that do not run.
    #[must_use]
    pub fn new(jails: &[String], broken: &[String], firewall: SharedFirewall) -> Self {
        let names: Arc<RwLock<Vec<String>>> = Arc::default();
        let mut registry = Registry::with_prefix("blocker");
        registry.register(
            "build",
            "The running blocker",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let lines = counters(&mut registry, "log_lines", "Log lines read, by what came of them");
        let cut = counters(
            &mut registry,
            "log_lines_cut",
            "Log lines read only up to the longest length",
        );
        let lag: Family<SourceLabels, Gauge<f64, AtomicU64>> = Family::default();
        let help =
            "How old the last line read is while more waits, and how long a log cannot be read; 0 when all is read";
        registry.register("log_lag_seconds", help, lag.clone());
        let families = JailFamilies::register(&mut registry);
        let durable = Gauge::default();
        let help = "Whether bans are on disk before they are enforced; 0 while they are in memory alone";
        registry.register("ledger_durable", help, durable.clone());
        let brake = Gauge::default();
        registry.register("brake_engaged", "Whether the brake holds back new bans", brake.clone());
        let help = "Look-ups for the allowlist that had no answer";
        let refresh_errors = Counter::default();
        registry.register("allowlist_refresh_errors", help, refresh_errors.clone());
        let refused = Counter::default();
        registry.register("enforcement_errors", "Changes that the kernel refused", refused.clone());
        let mended = Counter::default();
        let help = "Hosts and networks for which the kernel did not hold what it is to hold";
        registry.register("enforcement_mended", help, mended.clone());
        let dry_run = Gauge::default();
        let help = "Whether what would be dropped is only counted";
        registry.register("dry_run", help, dry_run.clone());
        let ratio: Gauge<f64, AtomicU64> = Gauge::default();
        ratio.set(1.0);
        registry.register(
            "enforced_ratio",
            "How much of what is banned the kernel enforces",
            ratio.clone(),
        );

        registry.register_collector(Box::new(KernelCounters {
            firewall,
            jails: Arc::clone(&names),
        }));
        let metrics = Self {
            registry,
            families,
            jails: RwLock::default(),
            names,
            lines,
            cut,
            refresh_errors,
            lag,
            refused,
            mended,
            dry_run,
            ratio,
            durable,
            brake,
        };
        metrics.set_jails(jails, broken);
        metrics
    }

    /// Goes on with the jails of these names, in the order of their identities from now on; what was counted for a name counts on.
    pub fn set_jails(&self, jails: &[String], broken: &[String]) {
        let metrics = jails.iter().map(|name| Arc::new(self.families.of(name))).collect();
        *self.jails.write().unwrap_or_else(PoisonError::into_inner) = metrics;
        let before = mem::replace(
            &mut *self.names.write().unwrap_or_else(PoisonError::into_inner),
            jails.to_vec(),
        );
        for name in before.iter().filter(|name| !jails.contains(name)) {
            self.families.active.remove(&JailLabels { jail: name.clone() });
        }
        self.families.not_running.clear();
        for (names, value) in [(jails, 0), (broken, 1)] {
            for name in names {
                let label = JailLabels { jail: name.clone() };
                self.families.not_running.get_or_create(&label).set(value);
            }
        }
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
        let counter = |result| {
            let labels = LineLabels {
                source: source.to_owned(),
                result,
            };
            self.lines.get_or_create(&labels).clone()
        };
        let labels = SourceLabels {
            source: source.to_owned(),
        };
        LineMetrics {
            matched: counter("matched"),
            ignored: counter("ignored"),
            missed: counter("missed"),
            undated: counter("undated"),
            cut: self.cut.get_or_create(&labels).clone(),
            lag: self.lag.get_or_create(&labels).clone(),
        }
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

/// What is counted for each jail, by its name.
struct JailFamilies {
    failures: Family<JailLabels, Counter>,
    bans: Family<OriginLabels, Counter>,
    active: Family<JailLabels, Gauge>,
    vetoes: Family<OriginLabels, Counter>,
    renewed: Family<JailLabels, Counter>,
    held_back: Family<OriginLabels, Counter>,
    unbannable: Family<JailLabels, Counter>,
    unasked: Family<JailLabels, Counter>,
    limit_hits: Family<JailLabels, Counter>,
    not_running: Family<JailLabels, Gauge>,
}

impl JailFamilies {
    fn register(registry: &mut Registry) -> Self {
        let active: Family<JailLabels, Gauge> = Family::default();
        registry.register("bans_active", "Bans in force", active.clone());
        let not_running: Family<JailLabels, Gauge> = Family::default();
        let help = "Whether an enabled jail does not run because its configuration is wrong";
        registry.register("jail_broken", help, not_running.clone());
        Self {
            failures: counters(registry, "failures", "Failures that filters found"),
            bans: counters(registry, "bans", "Bans made"),
            active,
            vetoes: counters(
                registry,
                "allowlist_vetoes",
                "Bans that the allowlist did not let happen",
            ),
            renewed: counters(
                registry,
                "bans_renewed",
                "Bans that went on, since their host still knocked",
            ),
            held_back: counters(registry, "bans_held_back", "Bans that the brake held back"),
            unbannable: counters(
                registry,
                "failures_unbannable",
                "Failures of hosts without an address that could be banned",
            ),
            unasked: counters(
                registry,
                "failures_unasked",
                "Failures that were dropped, since the ignorecommand did not keep up",
            ),
            limit_hits: counters(
                registry,
                "regex_limit_hits",
                "Searches given up at the backtracking limit, which count as no match",
            ),
            not_running,
        }
    }

    fn of(&self, name: &str) -> JailMetrics {
        let jail = JailLabels { jail: name.to_owned() };
        let from_jail = OriginLabels {
            jail: name.to_owned(),
            origin: Origin::Jail.name(),
        };
        JailMetrics {
            failures: self.failures.get_or_create(&jail).clone(),
            bans: self.bans.get_or_create(&from_jail).clone(),
            active: self.active.get_or_create(&jail).clone(),
            vetoes: self.vetoes.get_or_create(&from_jail).clone(),
            renewed: self.renewed.get_or_create(&jail).clone(),
            held_back: self.held_back.get_or_create(&from_jail).clone(),
            unbannable: self.unbannable.get_or_create(&jail).clone(),
            unasked: self.unasked.get_or_create(&jail).clone(),
            limit_hits: self.limit_hits.get_or_create(&jail).clone(),
        }
    }
}

/// Registers counters that labels tell apart.
fn counters<S>(registry: &mut Registry, name: &str, help: &str) -> Family<S, Counter>
where
    S: EncodeLabelSet + Clone + fmt::Debug + Hash + Eq + Send + Sync + 'static,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

/// What the firewall counts.
struct KernelCounters {
    firewall: SharedFirewall,
    jails: Arc<RwLock<Vec<String>>>,
}

impl fmt::Debug for KernelCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelCounters")
            .field("jails", &self.jails)
            .finish_non_exhaustive()
    }
}

impl Collector for KernelCounters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let jails = self.jails.read().unwrap_or_else(PoisonError::into_inner);
        let firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(firewall) = firewall.as_deref() else {
            return Ok(());
        };
        encode_coverage(firewall, &mut encoder)?;
        // Whatever befell the firewall, the rest of the metrics is what an operator wants to see now.
        let counted = match firewall.counters() {
            Ok(counted) => counted,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the firewall's counters cannot be read");
                return Ok(());
            }
        };
        for (name, help, outcome, bytes) in [
            (
                "dropped_packets",
                "Packets of banned hosts that were dropped",
                Outcome::Dropped,
                false,
            ),
            ("dropped_bytes", "Bytes of those packets", Outcome::Dropped, true),
            (
                "allowed_packets",
                "Packets that a ban covers and that passed, since the allowlist covers them too",
                Outcome::Allowed,
                false,
            ),
            (
                "would_drop_packets",
                "Packets that would have been dropped, were it not a dry run",
                Outcome::WouldDrop,
                false,
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for counted in counted.iter().filter(|counted| counted.outcome == outcome) {
                let labels = DropLabels {
                    jail: jails.get(usize::from(counted.jail.0)).cloned().unwrap_or_default(),
                    family: counted.family.name(),
                    firewall: counted.firewall.name(),
                };
                let count = if bytes { counted.bytes } else { counted.packets };
                metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
            }
        }
        Ok(())
    }
}

/// One for each interface that is meant to be covered.
fn encode_coverage(firewall: &dyn Firewall, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut covered: Vec<(String, &str)> = firewall
        .coverage()
        .into_iter()
        .map(|Coverage { interface, by }| (interface, by.name()))
        .collect();
    if covered.is_empty() {
        covered.push(("all".to_owned(), firewall.kind().name()));
    }
    let help = "What enforces bans on an interface: driver or generic for XDP, nftables, or nothing";
    let mut metric = encoder.encode_descriptor("firewall_info", help, None, MetricType::Gauge)?;
    for (interface, mode) in covered {
        let labels = InterfaceLabels { interface, mode };
        metric.encode_family(&labels)?.encode_gauge(&1_i64)?;
    }
    Ok(())
}
