//! The allowlist in the kernel.

use ahash::HashSet;
use anyhow::{Context as _, Result};
use aya::Ebpf;
use blocker_common::map;
use ipnet::IpNet;

use super::elements::Elements;
use super::keys::{Ipv6Prefix, Prefix};
use super::maps;
use crate::ban::{Networks, Subject};
use crate::firewall::view::{Entries, Map};

/// The networks whose packets are never dropped.
pub(super) struct Allowed {
    ipv4: Elements<Prefix<4>, u8>,
    ipv6: Elements<Ipv6Prefix, u8>,
    known: HashSet<Subject>,
    ipv4_entries: Entries,
    ipv6_entries: Entries,
}

impl Allowed {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            ipv4: Elements::open(&maps::data(ebpf, map::IPV4_ALLOWED)?)?,
            ipv6: Elements::open(&maps::data(ebpf, map::IPV6_ALLOWED)?)?,
            known: HashSet::default(),
            ipv4_entries: Entries::default(),
            ipv6_entries: Entries::default(),
        })
    }

    /// How full the maps are.
    pub(super) fn maps(&self) -> [Map; 2] {
        [
            self.ipv4.map(map::IPV4_ALLOWED, &self.ipv4_entries),
            self.ipv6.map(map::IPV6_ALLOWED, &self.ipv6_entries),
        ]
    }

    /// What is on it.
    pub(super) fn networks(&self) -> Networks {
        self.known.iter().map(|subject| subject.network()).collect()
    }

    /// Makes it exactly these. What is new comes before what is old goes.
    pub(super) fn set(&mut self, networks: &[IpNet]) -> Result<()> {
        let result = self.change(networks);
        let is_ipv4 = |subject: &&Subject| matches!(subject.network(), IpNet::V4(_));
        let ipv4 = self.known.iter().filter(is_ipv4).count();
        self.ipv4_entries.note(ipv4);
        self.ipv6_entries.note(self.known.len() - ipv4);
        result
    }

    fn change(&mut self, networks: &[IpNet]) -> Result<()> {
        let wanted: HashSet<Subject> = networks.iter().copied().map(Subject::from).collect();
        let new: Vec<Subject> = wanted.difference(&self.known).copied().collect();
        for subject in new {
            self.put(subject)
                .with_context(|| format!("xdp: {subject} cannot be entered into the kernel's allowlist"))?;
            self.known.insert(subject);
        }
        let old: Vec<Subject> = self.known.difference(&wanted).copied().collect();
        for subject in old {
            self.take(subject)
                .with_context(|| format!("xdp: {subject} cannot be taken out of the kernel's allowlist"))?;
            self.known.remove(&subject);
        }
        Ok(())
    }

    fn put(&self, subject: Subject) -> std::io::Result<()> {
        let prefix_len = subject.network().prefix_len().into();
        let result = match subject.network() {
            IpNet::V4(network) => {
                let octets = network.addr().octets();
                self.ipv4.update(&[Prefix { prefix_len, octets }], &[0])
            }
            IpNet::V6(network) => {
                let octets = network.addr().octets();
                self.ipv6.update(&[Prefix { prefix_len, octets }], &[0])
            }
        };
        result.map_err(|halt| halt.error)
    }

    fn take(&self, subject: Subject) -> std::io::Result<()> {
        let prefix_len = subject.network().prefix_len().into();
        let result = match subject.network() {
            IpNet::V4(network) => {
                let octets = network.addr().octets();
                self.ipv4.delete(&[Prefix { prefix_len, octets }])
            }
            IpNet::V6(network) => {
                let octets = network.addr().octets();
                self.ipv6.delete(&[Prefix { prefix_len, octets }])
            }
        };
        match result {
            Err(halt) if halt.error.raw_os_error() != Some(nix::libc::ENOENT) => Err(halt.error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
