//! Picks a firewall: XDP where it can be attached, nftables otherwise.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::interfaces::{Chosen, Pattern};
use super::nftables::{Hook, Nftables};
use super::per_interface::{Otherwise, PerInterface, Plan};
use super::xdp::{Sizes, Xdp};
use super::{Firewall, InForce, Inherited, JailScope};
use crate::config::{FirewallChoice, NftablesHook};

/// What to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Which firewall.
    pub choice: FirewallChoice,
    /// Interfaces for XDP, and for nftables where its hook is tied to them; none for those with a default route.
    pub interfaces: &'a [Pattern],
    /// Where nftables looks at packets.
    pub hook: NftablesHook,
    /// What XDP has room for.
    pub sizes: Sizes,
    /// The folder in which XDP's program and maps outlive the agent.
    pub pins: &'a Path,
    /// The jails, in the order of their identities.
    pub jails: &'a [JailScope],
    /// Whether packets of banned hosts are only counted, and pass.
    pub dry_run: bool,
}

/// Opens the firewall, has it filled, and puts it in force in place of what an agent before this one has left, whichever firewall
/// that had.
///
/// # Errors
///
/// When the wanted firewall, or with [`FirewallChoice::Auto`] each of the two, cannot be had; and when a dry run finds bans in force.
pub fn open(wanted: Wanted<'_>, in_force: &mut dyn InForce) -> Result<Box<dyn Firewall>> {
    let load = || Xdp::open(wanted.jails, wanted.sizes, wanted.pins);
    match wanted.choice {
        FirewallChoice::Xdp => per_interface(load()?, wanted, Otherwise::Nothing, in_force),
        FirewallChoice::Nftables => nftables(wanted, in_force),
        FirewallChoice::Auto => match load() {
            Ok(xdp) => per_interface(xdp, wanted, Otherwise::Nftables, in_force),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "XDP cannot be used here; bans are enforced by nftables, at several times the cost of a packet"
                );
                nftables(wanted, in_force).context(format!("neither XDP ({error:#}) nor nftables can be used"))
            }
        },
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

fn per_interface(
    mut xdp: Xdp,
    wanted: Wanted<'_>,
    otherwise: Otherwise,
    in_force: &mut dyn InForce,
) -> Result<Box<dyn Firewall>> {
    let now = Timestamp::now();
    let mut left = xdp.inherited(now);
    // A machine without nftables has no bans there.
    if let Ok(mut nftables) = Nftables::open(wanted.jails, Hook::Prerouting) {
        left.extend(nftables.inherited(now).context("what is in force cannot be read")?);
    }
    if wanted.dry_run {
        refuse_if_in_force(&left)?;
        xdp.count_only()?;
    }
    in_force.take_over(left);
    in_force.fill(&mut xdp)?;
    let plan = Plan {
        chosen: Chosen::new(wanted.interfaces),
        otherwise,
        jails: wanted.jails.to_vec(),
        hook: hook(wanted),
        dry_run: wanted.dry_run,
    };
    let opened = PerInterface::open(xdp, plan, in_force, Instant::now())?;
    Ok(Box::new(opened))
}

fn nftables(wanted: Wanted<'_>, in_force: &mut dyn InForce) -> Result<Box<dyn Firewall>> {
    let now = Timestamp::now();
    let mut nftables = Nftables::open(wanted.jails, hook(wanted))?;
    let mut left = nftables.inherited(now).context("what is in force cannot be read")?;
    left.extend(Xdp::left(wanted.pins, now));
    if wanted.dry_run {
        refuse_if_in_force(&left)?;
        nftables.count_only();
    }
    in_force.take_over(left);
    in_force.fill(&mut nftables)?;
    nftables.settle()?;
    Xdp::clear(wanted.pins)?;
    Ok(Box::new(nftables))
}

fn hook(wanted: Wanted<'_>) -> Hook {
    match wanted.hook {
        NftablesHook::Prerouting => Hook::Prerouting,
        NftablesHook::Ingress => Hook::Ingress(Chosen::new(wanted.interfaces)),
    }
}

/// A dry run lets everybody in, and those were to be kept out; nor may what it counts become a ban later.
fn refuse_if_in_force(left: &[Inherited]) -> Result<()> {
    anyhow::ensure!(
        left.is_empty(),
        "bans of an earlier run are in force ({}), and a dry run would lift them: run without --dry-run, or lift them with \
         `blocker stop --clear` first",
        left.len()
    );
    Ok(())
}
