//! Picks a firewall: XDP where it can be attached, nftables otherwise.

use std::path::Path;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::nftables::Nftables;
use super::xdp::{Sizes, Xdp};
use super::{Firewall, Inherited, JailScope};
use crate::config::FirewallChoice;

/// What to open.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Which firewall.
    pub choice: FirewallChoice,
    /// Interfaces for XDP. nftables needs none.
    pub interfaces: &'a [String],
    /// What XDP has room for.
    pub sizes: Sizes,
    /// The folder in which XDP's program and maps outlive the agent.
    pub pins: &'a Path,
    /// The jails, in the order of their identities.
    pub jails: &'a [JailScope],
}

/// Makes a firewall hold what is to be in force, before it is. It is handed the bans that the other firewall has in force.
pub type Fill<'a> = &'a mut dyn FnMut(&mut dyn Firewall, Vec<Inherited>) -> Result<()>;

/// Opens the firewall, has it filled, and puts it in force in place of what an agent before this one has left.
///
/// # Errors
///
/// When the wanted firewall, or with [`FirewallChoice::Auto`] each of the two, cannot be had.
pub fn open(wanted: Wanted<'_>, fill: Fill<'_>) -> Result<Box<dyn Firewall>> {
    match wanted.choice {
        FirewallChoice::Xdp => xdp(wanted, fill),
        FirewallChoice::Nftables => nftables(wanted, fill),
        FirewallChoice::Auto => xdp(wanted, fill).or_else(|error| {
            tracing::warn!(
                error = format!("{error:#}"),
                "XDP cannot be used here; bans are enforced by nftables, at several times the cost of a packet"
            );
            nftables(wanted, fill).context(format!("neither XDP ({error:#}) nor nftables can be used"))
        }),
    }
}

/// Takes everything of blocker's out of the kernel, whoever has put it there.
///
/// # Errors
///
/// When something cannot be taken out.
pub fn clear(pins: &Path) -> Result<()> {
    Xdp::clear(pins)?;
    Nftables::clear()
}

fn xdp(wanted: Wanted<'_>, fill: Fill<'_>) -> Result<Box<dyn Firewall>> {
    anyhow::ensure!(
        !wanted.interfaces.is_empty(),
        "XDP needs an interface and none has a default route: name one with --interface or under [firewall] in blocker.toml"
    );
    let mut xdp = Xdp::open(wanted.jails, wanted.sizes, wanted.pins)?;
    // A machine without nftables has no bans there.
    let others = Nftables::open(wanted.jails).and_then(|mut nftables| nftables.inherited(Timestamp::now()));
    fill(&mut xdp, others.unwrap_or_default())?;
    for interface in wanted.interfaces {
        xdp.attach(interface)?;
    }
    xdp.settle()?;
    // It may not be there, nor be possible.
    let _ = Nftables::clear();
    Ok(Box::new(xdp))
}

fn nftables(wanted: Wanted<'_>, fill: Fill<'_>) -> Result<Box<dyn Firewall>> {
    let mut nftables = Nftables::open(wanted.jails)?;
    fill(&mut nftables, Xdp::left(wanted.pins, Timestamp::now()))?;
    nftables.settle()?;
    Xdp::clear(wanted.pins)?;
    Ok(Box::new(nftables))
}
