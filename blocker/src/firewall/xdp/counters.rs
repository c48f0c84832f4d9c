//! What the program has counted.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{Array, MapData, PerCpuArray};
use blocker_common::map::{self, Counter, Outcome};
use blocker_common::packet::{Family, Unparsed};

use super::inherit::Former;
use super::maps;
use crate::ban::JailId;
use crate::firewall::view::Counts;
use crate::firewall::{Counted, Kind};

/// The counters in the kernel.
pub(super) struct Counters {
    counters: PerCpuArray<MapData, Counter>,
    /// What programs before this one have counted.
    carried: Mutex<Array<MapData, Counter>>,
    unparsed: PerCpuArray<MapData, u64>,
    jails: usize,
}

impl Counters {
    /// The counters of so many jails.
    pub(super) fn open(ebpf: &mut Ebpf, jails: usize) -> Result<Self> {
        Ok(Self {
            counters: maps::take(ebpf, map::COUNTERS)?,
            carried: Mutex::new(maps::take(ebpf, map::CARRIED)?),
            unparsed: maps::take(ebpf, map::UNPARSED)?,
            jails,
        })
    }

    /// Goes on from what was counted for jails of these names before.
    pub(super) fn carry_on(&self, former: &Former, jails: &[String]) -> Result<()> {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        for (jail, name) in (0..).zip(jails) {
            for family in Family::ALL {
                for outcome in Outcome::ALL {
                    let counted = former.counted(name, family, outcome)?;
                    carried
                        .set(map::counter_slot(jail, family, outcome), counted, 0)
                        .context("cannot carry counters on")?;
                }
            }
        }
        Ok(())
    }

    /// Packets that passed because they could not be parsed, by the reason.
    pub(super) fn unparsed(&self) -> Result<Vec<(Unparsed, u64)>> {
        let count = |reason| {
            let each = self.unparsed.get(&(reason as u32), 0)?;
            Ok((reason, each.iter().sum()))
        };
        Unparsed::ALL.into_iter().map(count).collect()
    }
}

impl Counts for Counters {
    fn read(&self) -> Result<Vec<Counted>> {
        // Only written when the program takes another's place.
        let carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::with_capacity(self.jails * Family::ALL.len() * Outcome::ALL.len());
        for jail in (0..).take(self.jails) {
            for family in Family::ALL {
                for outcome in Outcome::ALL {
                    let slot = map::counter_slot(jail, family, outcome);
                    let each = self.counters.get(&slot, 0).context("cannot read the counters")?;
                    let carried = carried.get(&slot, 0).context("cannot read the counters")?;
                    all.push(Counted {
                        firewall: Kind::Xdp,
                        jail: JailId(jail),
                        family,
                        outcome,
                        packets: each.iter().fold(carried.packets, |sum, counter| sum + counter.packets),
                        bytes: each.iter().fold(carried.bytes, |sum, counter| sum + counter.bytes),
                    });
                }
            }
        }
        Ok(all)
    }
}
