//! Picks a firewall: XDP where it can be attached, nftables otherwise.

use anyhow::{Context as _, Result};

use super::nftables::Nftables;
use super::xdp::Xdp;
use super::{Firewall, JailScope};
use crate::config::FirewallChoice;

/// What to open.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Which firewall.
    pub choice: FirewallChoice,
    /// Interfaces for XDP. nftables needs none.
    pub interfaces: &'a [String],
    /// Banned addresses of each IP version that XDP has room for.
    pub max_bans: u32,
    /// The jails, in the order of their identities.
    pub jails: &'a [JailScope],
}

/// Opens the firewall; nothing is banned yet.
///
/// # Errors
///
/// When the wanted firewall, or with [`FirewallChoice::Auto`] each of the two, cannot be had. Nothing is then left in the kernel.
pub fn open(wanted: Wanted<'_>) -> Result<Box<dyn Firewall>> {
    match wanted.choice {
        FirewallChoice::Xdp => xdp(wanted),
        FirewallChoice::Nftables => nftables(wanted),
        FirewallChoice::Auto => xdp(wanted).or_else(|error| {
            tracing::warn!(
                error = format!("{error:#}"),
                "XDP cannot be used here; bans are enforced by nftables, at several times the cost of a packet"
            );
            nftables(wanted).context(format!("neither XDP ({error:#}) nor nftables can be used"))
        }),
    }
}

fn xdp(wanted: Wanted<'_>) -> Result<Box<dyn Firewall>> {
    anyhow::ensure!(
        !wanted.interfaces.is_empty(),
        "XDP needs an interface and none has a default route: name one with --interface or under [firewall] in blocker.toml"
    );
    let mut xdp = Xdp::load(wanted.jails, wanted.max_bans)?;
    for interface in wanted.interfaces {
        xdp.attach(interface)?;
    }
    Ok(Box::new(xdp))
}

fn nftables(wanted: Wanted<'_>) -> Result<Box<dyn Firewall>> {
    Ok(Box::new(Nftables::open(wanted.jails)?))
}
