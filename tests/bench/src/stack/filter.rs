//! The filters that are compared, and how each is put on a host.

use std::any::Any;
use std::path::Path;

use anyhow::Result;
use blocker::firewall::interfaces::{Chosen, Pattern};
use blocker::firewall::nftables::{Hook, Nftables};
use blocker_lab::Namespace;

use super::rules::{self, Tables, Tools};
use crate::kernel::hosts::Version;
use crate::kernel::xdp_filter::Features;
use crate::kernel::{ours, xdp_filter};

/// Banned hosts, where a filter has room for them.
pub(crate) const BANS: u32 = 100_000;

/// The name of [`Filter::Native`].
pub(super) const NATIVE: &str = "blocker, dropped before an skb";

/// What keeps a filter in place.
pub(super) type Kept = Box<dyn Any + Send + Sync>;

/// A filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    None,
    /// Nothing listens either.
    Closed,
    /// So many rules in a row.
    Rules(Tables, u32),
    Ipset,
    NftInput,
    NftPrerouting,
    /// As blocker does, it counts for each host.
    NftPreroutingCounting,
    NftIngress,
    XdpTools,
    OursPrerouting,
    OursIngress,
    OursGeneric,
    Native,
}

impl Filter {
    pub(super) const ALL: [Self; 16] = [
        Self::None,
        Self::Closed,
        Self::Rules(Tables::Legacy, 1_000),
        Self::Rules(Tables::Legacy, 5_000),
        Self::Rules(Tables::Nft, 1_000),
        Self::Rules(Tables::Nft, 5_000),
        Self::Ipset,
        Self::NftInput,
        Self::NftPrerouting,
        Self::NftPreroutingCounting,
        Self::NftIngress,
        Self::XdpTools,
        Self::OursPrerouting,
        Self::OursIngress,
        Self::OursGeneric,
        Self::Native,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "no filter, a server listens",
            Self::Closed => "no filter, no server",
            Self::Rules(Tables::Legacy, 1_000) => "iptables-legacy, 1,000 rules",
            Self::Rules(Tables::Legacy, _) => "iptables-legacy, 5,000 rules",
            Self::Rules(Tables::Nft, 1_000) => "iptables-nft, 1,000 rules",
            Self::Rules(Tables::Nft, _) => "iptables-nft, 5,000 rules",
            Self::Ipset => "ipset in iptables-legacy",
            Self::NftInput => "nft set, inet input",
            Self::NftPrerouting => "nft set, inet prerouting raw",
            Self::NftPreroutingCounting => "nft set that counts for each host, inet prerouting raw",
            Self::NftIngress => "nft set, netdev ingress",
            Self::XdpTools => "xdp-filter, generic, 10,000",
            Self::OursPrerouting => "blocker, nftables at prerouting",
            Self::OursIngress => "blocker, nftables at ingress",
            Self::OursGeneric => "blocker, generic XDP",
            Self::Native => NATIVE,
        }
    }

    /// How many hosts are banned.
    pub(super) const fn bans(self) -> u32 {
        match self {
            Self::Rules(_, rules) => rules,
            Self::XdpTools => xdp_filter::MOST,
            _ => BANS,
        }
    }

    /// Whether it has seen a packet before that is routed.
    pub(super) const fn is_before_routing(self) -> bool {
        !matches!(self, Self::Closed | Self::Rules(..) | Self::Ipset | Self::NftInput)
    }

    /// Puts it on a host, before its interface. The calling thread is on the host.
    pub(super) fn put(self, host: &Namespace, interface: &str, tools: &Tools) -> Result<Option<Kept>> {
        let bans = self.bans();
        let (ingress, prerouting) = (
            format!("table netdev|hook ingress device {interface} priority 0"),
            "table inet|hook prerouting priority raw",
        );
        match self {
            Self::None | Self::Closed | Self::Native => {}
            Self::Rules(tables, rules) => tools.rules(host, tables, rules)?,
            Self::Ipset => tools.ipset(host, bans)?,
            Self::NftInput => rules::nft(host, "table inet|hook input priority 0", "", bans)?,
            Self::NftPrerouting => rules::nft(host, prerouting, "", bans)?,
            Self::NftPreroutingCounting => rules::nft(host, prerouting, "counter;", bans)?,
            Self::NftIngress => rules::nft(host, &ingress, "", bans)?,
            Self::XdpTools => {
                let pins = Path::new("/sys/fs/bpf");
                let mut program = xdp_filter::load(&tools.xdp, Features::Ip, bans, pins)?;
                program.attach(interface)?;
                return Ok(Some(Box::new(program)));
            }
            Self::OursPrerouting => nftables(Hook::Prerouting, bans)?,
            Self::OursIngress => {
                let pattern: Pattern = interface.parse()?;
                nftables(Hook::Ingress(Chosen::new(&[pattern])), bans)?;
            }
            Self::OursGeneric => {
                let mut xdp = ours::load(Version::Ipv4, bans)?;
                ours::attach(&mut xdp, interface)?;
                return Ok(Some(Box::new(std::sync::Mutex::new(xdp))));
            }
        }
        Ok(None)
    }
}

/// blocker's own table, which stays.
fn nftables(hook: Hook, bans: u32) -> Result<()> {
    let mut nftables = Nftables::open(&ours::jails(), hook)?;
    ours::fill(&mut nftables, Version::Ipv4, bans)?;
    nftables.settle()
}
