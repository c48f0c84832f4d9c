//! blocker's own program, with bans.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use aya::programs::{ProgramFd, XdpMode};
use blocker::ban::{Change, Expiry, Scope};
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker::firewall::{Firewall, JailScope};
use blocker_lab::network::{RELAY, RELAY_V6};
use jiff::{SignedDuration, Timestamp};

use super::hosts::{PORT, Version, bans, ipv4, ipv6};

/// The banned host that is on the allowlist.
pub(crate) const ALLOWED: u32 = 500;

/// The jails of a mail relay: four, of two scopes.
pub(crate) fn jails() -> Vec<JailScope> {
    let mail = vec![PORT..=PORT, 465..=465, 587..=587];
    let boxes = vec![110..=110, 143..=143, 993..=993, 995..=995];
    [("spam", &mail), ("auth", &mail), ("abuse", &mail), ("imap", &boxes)]
        .map(|(name, ports)| JailScope {
            name: name.to_owned(),
            scope: Scope::tcp(ports.clone()),
        })
        .into()
}

/// blocker's program with so many bans, and room for as many as there is by default.
pub(crate) fn load(version: Version, count: u32) -> Result<Xdp> {
    let mut xdp = Xdp::load(&jails(), Sizes::default())?;
    fill(&mut xdp, version, count)?;
    Ok(xdp)
}

/// Has a firewall enforce so many bans, and spare whom an agent spares: the relay itself, and a few networks.
pub(crate) fn fill(firewall: &mut dyn Firewall, version: Version, count: u32) -> Result<()> {
    let mut allowed: Vec<_> = [
        "127.0.0.0/8",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "::1/128",
        "2001:db8:ffff::/48",
    ]
    .iter()
    .map(|network| network.parse())
    .collect::<Result<_, _>>()?;
    let hosts: [IpAddr; 4] = [
        RELAY.into(),
        RELAY_V6.into(),
        ipv4(ALLOWED).into(),
        ipv6(ALLOWED).into(),
    ];
    allowed.extend(hosts.map(ipnet::IpNet::from));
    firewall.allow(&allowed)?;
    apply(firewall, &bans(version, count, hour()))
}

/// In an hour.
pub(crate) fn hour() -> Expiry {
    Expiry::At(Timestamp::now() + SignedDuration::from_hours(1))
}

/// Has a firewall carry out changes.
pub(crate) fn apply(firewall: &mut dyn Firewall, changes: &[Change]) -> Result<()> {
    let rejected = firewall.apply(changes, Timestamp::now());
    if let Some(first) = rejected.into_iter().next() {
        return Err(first.error);
    }
    Ok(())
}

/// For another program that calls it.
pub(crate) fn fd(xdp: &mut Xdp) -> Result<ProgramFd> {
    Ok(xdp.program()?.fd()?.try_clone()?)
}

/// Attaches it in the kernel's generic hook, also to a loopback, which blocker itself leaves alone.
pub(crate) fn attach(xdp: &mut Xdp, interface: &str) -> Result<()> {
    xdp.program()?.attach(interface, XdpMode::Skb)?;
    Ok(())
}

/// Makes sure that a program does what is going to be measured.
pub(crate) fn check(xdp: &mut Xdp, frame: &[u8], expected: u32) -> Result<()> {
    let verdict = super::program::verdict(xdp.program()?, frame)?;
    ensure!(
        verdict == expected,
        "blocker's program says {verdict} and not {expected}"
    );
    Ok(())
}
