//! What an agent before this one has left in force: its bans, and what was counted.

use std::path::Path;
use std::sync::Arc;

use ahash::HashMap;
use anyhow::{Context as _, Result};
use aya::maps::{Array, Map, MapData, PerCpuArray};
use blocker_common::map::{self, Ban, Counter, Covered, Ends, MAX_JAILS, Outcome, Settings, TICK_SHIFT};
use blocker_common::packet::Family;
use jiff::{SignedDuration, Timestamp};

use super::clock::Clock;
use super::elements::Elements;
use super::keys::{Ipv4Prefix, Ipv6Prefix, Key};
use super::table;
use crate::ban::{Expiry, Subject};
use crate::firewall::Inherited;

/// Longest name of a jail in the kernel's list of them.
const NAME_LEN: usize = 64;
/// A jail's name, zeros behind it.
pub(super) type Name = [u8; NAME_LEN];

/// The maps of an agent before this one.
pub(super) struct Former {
    /// Names of its jails, by their index in the kernel.
    jails: Vec<Arc<str>>,
    ends: HashMap<u32, Ends>,
    bans: Vec<(Subject, Ban)>,
    counters: PerCpuArray<MapData, Counter>,
    carried: Array<MapData, Counter>,
    was_dry_run: bool,
}

impl Former {
    /// Reads the maps that are pinned in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let names = Array::<_, Name>::try_from(map(folder, map::JAILS)?)?;
        let names = names.iter().map(|name| name.map(|name| text(&name)));
        let mut ends = HashMap::default();
        elements::<u32, Ends>(folder, map::ENDS)?
            .dump(|key, value| {
                ends.insert(key, value);
            })
            .with_context(|| unread(folder, map::ENDS))?;
        let settings = Array::<_, Settings>::try_from(map(folder, map::SETTINGS)?)?;
        Ok(Self {
            jails: names.collect::<Result<_, _>>()?,
            ends,
            bans: bans(folder)?,
            counters: map(folder, map::COUNTERS)?.try_into()?,
            carried: map(folder, map::CARRIED)?.try_into()?,
            was_dry_run: settings.get(&0, 0)?.dry_run != 0,
        })
    }

    /// The bans that are still in force, one for each jail that has one. In a dry run none was.
    pub(super) fn bans(&self, now: Timestamp) -> Vec<Inherited> {
        if self.was_dry_run {
            return Vec::new();
        }
        let clock = Clock::at(now);
        let mut all = Vec::with_capacity(self.bans.len());
        for (subject, ban) in &self.bans {
            let mut add = |jail: u16, until: u32| {
                let Some(name) = self.jails.get(usize::from(jail)).filter(|name| !name.is_empty()) else {
                    return;
                };
                if let Some(until) = wall_time(until, &clock) {
                    all.push(Inherited {
                        jail: Arc::clone(name),
                        subject: *subject,
                        until,
                    });
                }
            };
            match ban.terms.covered() {
                Covered::One { jail, .. } => add(jail, ban.until),
                Covered::Several { ends: key } => {
                    let ends = self.ends.get(&key).into_iter();
                    for (jail, until) in ends.flat_map(|ends| ends.jails.iter().zip(&ends.until)) {
                        add(*jail, u32::try_from(*until).unwrap_or(Ban::FOREVER));
                    }
                }
            }
        }
        all
    }

    /// Packets that each ban has covered, and when the latest came.
    pub(super) fn packets(&self) -> impl Iterator<Item = (Subject, (u32, u32))> {
        let bans = self.bans.iter();
        bans.map(|(subject, ban)| (*subject, (ban.packets, ban.last_packet)))
    }

    /// What was counted for a jail of this name, here and before.
    pub(super) fn counted(&self, jail: &str, family: Family, outcome: Outcome) -> Result<Counter> {
        let Some(index) = self.jails.iter().position(|name| **name == *jail) else {
            return Ok(Counter::default());
        };
        let slot = map::counter_slot(index as u16, family, outcome);
        let each = self.counters.get(&slot, 0)?;
        let carried = self.carried.get(&slot, 0)?;
        Ok(each.iter().fold(carried, |sum, counter| Counter {
            packets: sum.packets + counter.packets,
            bytes: sum.bytes + counter.bytes,
        }))
    }
}

/// The names of jails as the kernel holds them.
pub(super) fn names<'a>(jails: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Name> {
    jails.take(MAX_JAILS).map(|jail| {
        let mut name = [0; NAME_LEN];
        for (byte, of) in name.iter_mut().zip(jail.bytes()) {
            *byte = of;
        }
        name
    })
}

fn text(name: &Name) -> Arc<str> {
    let len = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN);
    String::from_utf8_lossy(&name[..len]).into()
}

fn bans(folder: &Path) -> Result<Vec<(Subject, Ban)>> {
    let mut all = Vec::new();
    read::<[u8; 4]>(folder, map::IPV4_HOSTS, &mut all)?;
    read::<[u8; 8]>(folder, map::IPV6_SUBNETS, &mut all)?;
    read::<[u8; 16]>(folder, map::IPV6_HOSTS, &mut all)?;
    read::<Ipv4Prefix>(folder, map::IPV4_NETWORKS, &mut all)?;
    read::<Ipv6Prefix>(folder, map::IPV6_NETWORKS, &mut all)?;
    Ok(all)
}

fn read<K: aya::Pod + Key>(folder: &Path, name: &str, all: &mut Vec<(Subject, Ban)>) -> Result<()> {
    let elements = elements::<K, Ban>(folder, name)?;
    table::dump(&elements, |subject, ban| all.push((subject, ban))).with_context(|| unread(folder, name))
}

/// The wall clock's time for one of the kernel's, unless it is past.
fn wall_time(until: u32, clock: &Clock) -> Option<Expiry> {
    if until == Ban::FOREVER {
        return Some(Expiry::Never);
    }
    let until = u64::from(until) << TICK_SHIFT;
    let left = i64::try_from(until.checked_sub(clock.monotonic).filter(|left| *left > 0)?).ok()?;
    let end = clock.wall.saturating_add(SignedDuration::from_nanos(left));
    Some(Expiry::At(end.unwrap_or(Timestamp::MAX)))
}

fn map(folder: &Path, name: &str) -> Result<Map> {
    let data = MapData::from_pin(folder.join(name)).with_context(|| unread(folder, name))?;
    Map::from_map_data(data).with_context(|| unread(folder, name))
}

fn elements<K: aya::Pod, V: aya::Pod>(folder: &Path, name: &str) -> Result<Elements<K, V>> {
    let data = MapData::from_pin(folder.join(name)).with_context(|| unread(folder, name))?;
    Elements::open(&data)
}

fn unread(folder: &Path, name: &str) -> String {
    format!("{}: cannot be read", folder.join(name).display())
}
