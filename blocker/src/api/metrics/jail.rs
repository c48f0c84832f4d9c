//! What is counted for each jail.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::counters;
use crate::ban::Origin;

/// A jail's counters.
#[derive(Clone, Debug)]
pub struct JailMetrics {
    /// Failures that its filter found.
    pub failures: Counter,
    /// Bans that it made.
    pub bans: Counter,
    /// Bans with its scope that somebody has asked for.
    pub bans_manual: Counter,
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

/// The same for all jails.
#[derive(Clone, Debug)]
pub(super) struct JailFamilies {
    failures: Family<JailLabels, Counter>,
    bans: Family<OriginLabels, Counter>,
    active: Family<JailLabels, Gauge>,
    vetoes: Family<OriginLabels, Counter>,
    renewed: Family<JailLabels, Counter>,
    held_back: Family<OriginLabels, Counter>,
    unbannable: Family<JailLabels, Counter>,
    unasked: Family<JailLabels, Counter>,
    limit_hits: Family<JailLabels, Counter>,
    broken: Family<JailLabels, Gauge>,
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

impl JailFamilies {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let active: Family<JailLabels, Gauge> = Family::default();
        registry.register("bans_active", "Bans in force", active.clone());
        let broken: Family<JailLabels, Gauge> = Family::default();
        let help = "Whether an enabled jail does not run because its configuration is wrong";
        registry.register("jail_broken", help, broken.clone());
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
            broken,
        }
    }

    /// The counters of a jail that runs.
    pub(super) fn jail(&self, name: &str) -> JailMetrics {
        let jail = JailLabels { jail: name.to_owned() };
        let from_jail = OriginLabels {
            jail: name.to_owned(),
            origin: Origin::Jail.name(),
        };
        let by_hand = OriginLabels {
            jail: name.to_owned(),
            origin: Origin::Manual.name(),
        };
        self.broken.get_or_create(&jail).set(0);
        // One by one: what is got keeps the family locked until its statement ends.
        let bans = self.bans.get_or_create(&from_jail).clone();
        let bans_manual = self.bans.get_or_create(&by_hand).clone();
        JailMetrics {
            failures: self.failures.get_or_create(&jail).clone(),
            bans,
            bans_manual,
            active: self.active.get_or_create(&jail).clone(),
            vetoes: self.vetoes.get_or_create(&from_jail).clone(),
            renewed: self.renewed.get_or_create(&jail).clone(),
            held_back: self.held_back.get_or_create(&from_jail).clone(),
            unbannable: self.unbannable.get_or_create(&jail).clone(),
            unasked: self.unasked.get_or_create(&jail).clone(),
            limit_hits: self.limit_hits.get_or_create(&jail).clone(),
        }
    }

    /// Forgets what is now of a jail that ends; what it has counted stays.
    pub(super) fn ends(&self, name: &str) {
        self.active.remove(&JailLabels { jail: name.to_owned() });
    }

    /// Forgets which jails do not run.
    pub(super) fn all_run(&self) {
        self.broken.clear();
    }

    /// Notes a jail that is enabled and does not run.
    pub(super) fn does_not_run(&self, name: &str) {
        let jail = JailLabels { jail: name.to_owned() };
        self.broken.get_or_create(&jail).set(1);
    }
}
