//! The bans in the kernel: five maps by what is banned, and one of ends.

use ahash::{HashMap, HashSet};
use anyhow::{Context as _, Result, anyhow};
use aya::Ebpf;
use aya::maps::{Array, MapData};
use blocker_common::map::{self, Ends, Settings, Terms};
use ipnet::IpNet;
use jiff::Timestamp;
use nix::libc;

use super::clock::Clock;
use super::elements::{Elements, Halt, MAX};
use super::held::Held;
use super::keys::{Ipv4Prefix, Ipv6Prefix, Place};
use super::maps;
use super::scope_bits::ScopeBits;
use super::table::{Failed, Table, Work};
use crate::ban::{Change, Networks, Subject};
use crate::firewall::Rejected;
use crate::firewall::view::{Entries, Map};

/// The settings that bound the maps' sizes.
const MAX_ADDRESSES: &str = "max_addresses";
const MAX_NETWORKS: &str = "max_networks";

/// The bans in the kernel.
pub(super) struct Bans {
    pub(super) ipv4_hosts: Table<[u8; 4]>,
    pub(super) ipv6_subnets: Table<[u8; 8]>,
    pub(super) ipv6_hosts: Table<[u8; 16]>,
    pub(super) ipv4_networks: Table<Ipv4Prefix>,
    pub(super) ipv6_networks: Table<Ipv6Prefix>,
    pub(super) ends: Elements<u32, Ends>,
    /// What has an element in `ends`, by which key.
    split: HashMap<Subject, u32>,
    split_entries: Entries,
    /// The keys in `ends`, and the one that was given out last.
    keys: HashSet<u32>,
    last_key: u32,
    /// What the kernel's allowlist has.
    allowed: Networks,
    /// Whether every ban that it touches says so.
    is_marked: bool,
    settings: Array<MapData, Settings>,
    /// As the kernel has them.
    current: Settings,
    /// Packets that bans have covered before they came into these maps, and when the latest came.
    before: HashMap<Subject, (u32, u32)>,
}

/// What is to be done in each map.
#[derive(Default)]
struct Works {
    ipv4_hosts: Work<[u8; 4]>,
    ipv6_subnets: Work<[u8; 8]>,
    ipv6_hosts: Work<[u8; 16]>,
    ipv4_networks: Work<Ipv4Prefix>,
    ipv6_networks: Work<Ipv6Prefix>,
}

impl Bans {
    pub(super) fn open(ebpf: &mut Ebpf, settings: Settings) -> Result<Self> {
        let mut bans = Self {
            ipv4_hosts: Table::open(&maps::data(ebpf, map::IPV4_HOSTS)?, MAX_ADDRESSES)?,
            ipv6_subnets: Table::open(&maps::data(ebpf, map::IPV6_SUBNETS)?, MAX_ADDRESSES)?,
            ipv6_hosts: Table::open(&maps::data(ebpf, map::IPV6_HOSTS)?, MAX_ADDRESSES)?,
            ipv4_networks: Table::open(&maps::data(ebpf, map::IPV4_NETWORKS)?, MAX_NETWORKS)?,
            ipv6_networks: Table::open(&maps::data(ebpf, map::IPV6_NETWORKS)?, MAX_NETWORKS)?,
            ends: Elements::open(&maps::data(ebpf, map::ENDS)?)?,
            split: HashMap::default(),
            split_entries: Entries::default(),
            keys: HashSet::default(),
            last_key: 0,
            allowed: Networks::default(),
            is_marked: true,
            settings: maps::take(ebpf, map::SETTINGS)?,
            current: settings,
            before: HashMap::default(),
        };
        bans.set(settings)?;
        Ok(bans)
    }

    /// Has the program count and drop nothing.
    pub(super) fn count_only(&mut self) -> Result<()> {
        self.set(Settings {
            dry_run: 1,
            ..self.current
        })
    }

    /// Has bans go on counting packets from where they were.
    pub(super) fn go_on_from(&mut self, packets: impl Iterator<Item = (Subject, (u32, u32))>) {
        self.before = packets.filter(|(_, (packets, _))| *packets > 0).collect();
    }

    /// Says what the kernel's allowlist has by now: it is asked for what it touches, and for nothing else.
    pub(super) fn allow(&mut self, allowed: Networks) -> Result<()> {
        // After one that failed, nobody knows which bans lack their mark.
        let is_new = |network: &&IpNet| !self.is_marked || !self.allowed.cover(Subject::from(**network));
        let new: Networks = allowed.as_slice().iter().filter(is_new).copied().collect();
        // First, for the bans that are made from now on.
        self.allowed = allowed;
        if new.as_slice().is_empty() {
            return Ok(());
        }
        let marked = [
            self.ipv4_hosts.ask_for(&new),
            self.ipv6_subnets.ask_for(&new),
            self.ipv6_hosts.ask_for(&new),
            self.ipv4_networks.ask_for(&new),
            self.ipv6_networks.ask_for(&new),
        ];
        let all: Result<()> = marked.into_iter().collect();
        self.is_marked = all.is_ok();
        all.context("xdp: bans on what has come onto the allowlist cannot be marked")
    }

    /// Whether the kernel's allowlist has hosts of this.
    pub(super) fn is_allowed_in_part(&self, subject: Subject) -> bool {
        self.allowed.touch(subject)
    }

    /// How full the maps are.
    pub(super) fn maps(&self) -> [Map; 6] {
        [
            self.ipv4_hosts.map(map::IPV4_HOSTS),
            self.ipv6_subnets.map(map::IPV6_SUBNETS),
            self.ipv6_hosts.map(map::IPV6_HOSTS),
            self.ipv4_networks.map(map::IPV4_NETWORKS),
            self.ipv6_networks.map(map::IPV6_NETWORKS),
            self.ends.map(map::ENDS, &self.split_entries),
        ]
    }

    /// Makes the kernel hold exactly what each change says. Of several for one host or network, the last counts.
    pub(super) fn apply(&mut self, changes: &[Change], scopes: &ScopeBits, now: Timestamp) -> Vec<Rejected> {
        let clock = Clock::at(now);
        let mut failed = Failed::new();
        let mut works = Works::default();
        let mut left = Vec::new();
        let last: HashMap<Subject, usize> = changes
            .iter()
            .enumerate()
            .map(|(n, change)| (change.subject, n))
            .collect();
        for (n, Change { subject, bans }) in changes.iter().enumerate() {
            if last.get(subject) != Some(&n) {
                continue;
            }
            let prefix_len = subject.network().prefix_len();
            let mut held = Held::of(bans, prefix_len, scopes, &clock);
            // New ends come before the entry that points to them, and old ones go after it.
            match &mut held {
                Some(Held { ban, ends: Some(ends) }) => match self.put_ends(ends) {
                    Ok(key) => {
                        ban.terms = Terms::several(prefix_len, key);
                        left.push((n, Some(key), self.split.insert(*subject, key)));
                    }
                    Err(error) => {
                        failed.push((n, error));
                        continue;
                    }
                },
                Some(Held { ends: None, .. }) | None => left.push((n, None, self.split.remove(subject))),
            }
            let before = self.before.remove(subject);
            if let Some(Held { ban, .. }) = &mut held {
                ban.terms = ban.terms.with_clear(!self.is_allowed_in_part(*subject));
                if let Some((packets, last)) = before {
                    (ban.packets, ban.last_packet) = (packets, last);
                }
            }
            works.add(n, *subject, held);
        }
        self.ipv4_hosts.carry_out(works.ipv4_hosts, &mut failed);
        self.ipv6_subnets.carry_out(works.ipv6_subnets, &mut failed);
        self.ipv6_hosts.carry_out(works.ipv6_hosts, &mut failed);
        self.ipv4_networks.carry_out(works.ipv4_networks, &mut failed);
        self.ipv6_networks.carry_out(works.ipv6_networks, &mut failed);
        self.tidy_ends(&left, changes, &failed);
        self.split_entries.note(self.split.len());
        if let Err(error) = self.tell_settings() {
            let error = format!("{error:#}");
            failed.extend((0..changes.len()).map(|n| (n, anyhow!(error.clone()))));
        }
        let mut rejected: Vec<Rejected> = failed
            .into_iter()
            .map(|(change, error)| Rejected {
                change,
                error: error.context(format!("xdp: {}", changes[change].subject)),
            })
            .collect();
        rejected.sort_by_key(|rejected| rejected.change);
        rejected.dedup_by_key(|rejected| rejected.change);
        rejected
    }

    /// Takes out the ends that no entry points to any more. Each is a change, the key that it has put, and the one from before.
    fn tidy_ends(&mut self, left: &[(usize, Option<u32>, Option<u32>)], changes: &[Change], failed: &Failed) {
        let failed: HashSet<usize> = failed.iter().map(|(change, _)| *change).collect();
        let mut keys = Vec::new();
        for (n, new, old) in left {
            if failed.contains(n) {
                // The entry is as it was, and points to the old ones.
                keys.extend(*new);
                let subject = changes[*n].subject;
                match old {
                    Some(old) => self.split.insert(subject, *old),
                    None => self.split.remove(&subject),
                };
            } else {
                keys.extend(*old);
            }
        }
        for keys in keys.chunks(MAX) {
            // Ends that are left over are read by nobody.
            let _ = self.ends.delete(keys);
            for key in keys {
                self.keys.remove(key);
            }
        }
    }

    /// Enters ends under a key that no entry points to.
    fn put_ends(&mut self, ends: &Ends) -> Result<u32> {
        let is_full = self.keys.len() >= self.ends.capacity().min(Terms::MAX_ENDS) as usize;
        let mut next = (1..=Terms::MAX_ENDS).map(|step| (self.last_key + step) % Terms::MAX_ENDS);
        let free = next.find(|key| is_full || !self.keys.contains(key));
        let put = free
            .filter(|_| !is_full)
            .map(|key| self.ends.update(&[key], &[*ends]).map(|()| key));
        match put {
            Some(Ok(key)) => {
                self.last_key = key;
                self.keys.insert(key);
                Ok(key)
            }
            Some(Err(Halt { error, .. })) if error.raw_os_error() != Some(libc::E2BIG) => Err(error.into()),
            Some(Err(_)) | None => Err(anyhow!(
                "the kernel's map of bans that end at different times is full with {}; raise `{MAX_ADDRESSES}` under [firewall] in \
                 blocker.toml and restart",
                self.keys.len()
            )),
        }
    }

    /// Tells the program which maps are worth a look.
    fn tell_settings(&mut self) -> Result<()> {
        let flag = |count: usize, flag| if count > 0 { flag } else { 0 };
        let in_use = flag(self.ipv4_networks.len(), Settings::IPV4_NETWORKS)
            | flag(self.ipv6_networks.len(), Settings::IPV6_NETWORKS)
            | flag(self.ipv6_hosts.len(), Settings::IPV6_HOSTS);
        if in_use != self.current.in_use {
            self.set(Settings { in_use, ..self.current })?;
        }
        Ok(())
    }

    fn set(&mut self, settings: Settings) -> Result<()> {
        self.settings
            .set(0, settings, 0)
            .context("cannot tell the kernel program its settings")?;
        self.current = settings;
        Ok(())
    }
}

impl Works {
    fn add(&mut self, change: usize, subject: Subject, held: Option<Held>) {
        match Place::of(subject) {
            Place::Ipv4Host(key) => self.ipv4_hosts.add(change, key, held),
            Place::Ipv6Subnet(key) => self.ipv6_subnets.add(change, key, held),
            Place::Ipv6Host(key) => self.ipv6_hosts.add(change, key, held),
            Place::Ipv4Network(key) => self.ipv4_networks.add(change, key, held),
            Place::Ipv6Network(key) => self.ipv6_networks.add(change, key, held),
        }
    }
}

impl<K> Work<K> {
    fn add(&mut self, change: usize, key: K, held: Option<Held>) {
        match held {
            Some(held) => self.put.push((change, key, held.ban)),
            None => self.take.push((change, key)),
        }
    }
}
