//! What the kernel has counted and holds, read when it is asked for.
//!
//! A scrape never waits for the firewall: a batch of bans keeps that busy for seconds, and the attack that causes it is what an
//! operator wants to see. So it reads from a [`View`], and takes a new one whenever the firewall is free.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use blocker_common::map::Outcome;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;

use super::SharedFirewall;
use crate::api::model;
use crate::ban::JailId;
use crate::firewall::{Counted, Coverage, View};
use crate::ledger::MAX_BANS;

/// What the firewall counts, and how full it and the ledger are.
#[derive(Clone)]
pub(super) struct Kernel {
    firewall: SharedFirewall,
    seen: Arc<Mutex<Seen>>,
}

/// What is known of the firewall without it, and of the jails for which it counts.
#[derive(Clone, Default)]
pub struct Seen {
    /// As it was when the firewall was free last.
    pub(super) view: Option<View>,
    /// In the order of their identities.
    pub(super) jails: Vec<String>,
    /// The bans in force of each.
    pub(super) active: Vec<Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CountLabels {
    jail: String,
    family: &'static str,
    firewall: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InterfaceLabels {
    interface: String,
    mode: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MapLabels {
    map: String,
}

/// How full a table is: its name, what is in it, and what it has room for, if that is bounded.
struct Fill {
    map: String,
    entries: u64,
    capacity: Option<u64>,
}

impl Kernel {
    pub(super) const fn new(firewall: SharedFirewall, seen: Arc<Mutex<Seen>>) -> Self {
        Self { firewall, seen }
    }

    /// The latest that is to be had without waiting.
    pub(super) fn look(&self) -> Seen {
        // Before the firewall, so that jails and firewall are of the same time.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = match self.firewall.try_lock() {
            Ok(firewall) => Some(firewall.as_deref().map(|firewall| firewall.view())),
            Err(TryLockError::Poisoned(firewall)) => {
                Some(firewall.into_inner().as_deref().map(|firewall| firewall.view()))
            }
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(latest) = latest {
            seen.view = latest;
        }
        seen.clone()
    }
}

impl Seen {
    /// What enforces bans, by name.
    #[must_use]
    pub fn firewall(&self) -> &'static str {
        self.view.as_ref().map_or("none", |view| view.kind.name())
    }

    /// How each interface is covered.
    #[must_use]
    pub fn interfaces(&self) -> Vec<model::Interface> {
        let view = self.view.iter();
        let interface = |(interface, mode): (String, &str)| model::Interface {
            interface,
            mode: mode.to_owned(),
        };
        view.flat_map(covered).map(interface).collect()
    }

    /// Packets that bans of each jail have dropped; in a dry run, that they would have.
    #[must_use]
    pub fn dropped(&self) -> HashMap<JailId, u64> {
        let counted = match self.view.as_ref().map(View::counters) {
            Some(Ok(counted)) => counted,
            Some(Err(error)) => {
                tracing::error!(error = format!("{error:#}"), "the firewall's counters cannot be read");
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut dropped = HashMap::new();
        for counted in counted {
            if matches!(counted.outcome, Outcome::Dropped | Outcome::WouldDrop) {
                *dropped.entry(counted.jail).or_default() += counted.packets;
            }
        }
        dropped
    }

    fn fills(&self) -> Vec<Fill> {
        let maps = self.view.iter().flat_map(|view| &view.maps).map(|map| Fill {
            map: map.name.clone(),
            entries: map.entries.count(),
            capacity: map.capacity,
        });
        let active: i64 = self.active.iter().map(Gauge::get).sum();
        let ledger = Fill {
            map: "ledger".to_owned(),
            entries: active.try_into().unwrap_or_default(),
            capacity: Some(MAX_BANS as u64),
        };
        maps.chain([ledger]).collect()
    }

    fn encode_counts(&self, counted: &[Counted], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let packets = |outcome| self.labelled(counted, outcome, |counted| counted.packets);
        let bytes = |outcome| self.labelled(counted, outcome, |counted| counted.bytes);
        for (name, help, counts) in [
            (
                "dropped_packets",
                "Packets of banned hosts that were dropped",
                packets(Outcome::Dropped),
            ),
            ("dropped_bytes", "Bytes of those packets", bytes(Outcome::Dropped)),
            (
                "allowed_packets",
                "Packets that a ban covers and that passed, since the allowlist covers them too",
                packets(Outcome::Allowed),
            ),
            (
                "would_drop_packets",
                "Packets that would have been dropped, were it not a dry run",
                packets(Outcome::WouldDrop),
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, count) in counts {
                metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    /// The counts of an outcome, each with its labels.
    fn labelled(&self, counted: &[Counted], outcome: Outcome, count: fn(&Counted) -> u64) -> Vec<(CountLabels, u64)> {
        let counted = counted.iter().filter(|counted| counted.outcome == outcome);
        let labelled = counted.map(|counted| {
            let labels = CountLabels {
                jail: self.jails.get(usize::from(counted.jail.0)).cloned().unwrap_or_default(),
                family: counted.family.name(),
                firewall: counted.firewall.name(),
            };
            (labels, count(counted))
        });
        labelled.collect()
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").finish_non_exhaustive()
    }
}

impl Collector for Kernel {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seen = self.look();
        encode_fills(&seen.fills(), &mut encoder)?;
        let Some(view) = &seen.view else {
            return Ok(());
        };
        encode_coverage(view, &mut encoder)?;
        match view.counters() {
            Ok(counted) => seen.encode_counts(&counted, &mut encoder),
            // Whatever befell the firewall, the rest of the metrics is what an operator wants to see now.
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the firewall's counters cannot be read");
                Ok(())
            }
        }
    }
}

fn encode_fills(fills: &[Fill], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let entries = fills.iter().map(|fill| (&fill.map, Some(fill.entries)));
    let capacities = fills.iter().map(|fill| (&fill.map, fill.capacity));
    let help = "Elements of the kernel's maps and sets, and bans of the ledger";
    encode_maps("map_entries", help, entries, encoder)?;
    let help = "The most that each of them holds, where that is bounded";
    encode_maps("map_capacity", help, capacities, encoder)
}

fn encode_maps<'a>(
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a String, Option<u64>)>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (map, value) in values {
        let Some(value) = value else { continue };
        let labels = MapLabels { map: map.clone() };
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

/// What enforces bans on each interface that is meant to be covered.
fn covered(view: &View) -> Vec<(String, &'static str)> {
    let covered = view.coverage.iter();
    let mut covered: Vec<(String, &str)> = covered
        .map(|Coverage { interface, by }| (interface.clone(), by.name()))
        .collect();
    if covered.is_empty() {
        covered.push(("all".to_owned(), view.kind.name()));
    }
    covered
}

/// One for each interface that is meant to be covered.
fn encode_coverage(view: &View, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "What enforces bans on an interface: driver or generic for XDP, nftables, or nothing";
    let mut metric = encoder.encode_descriptor("firewall_info", help, None, MetricType::Gauge)?;
    for (interface, mode) in covered(view) {
        let labels = InterfaceLabels { interface, mode };
        metric.encode_family(&labels)?.encode_gauge(&1_i64)?;
    }
    Ok(())
}
