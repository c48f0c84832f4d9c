//! The table tied to interfaces.

use anyhow::{Result, ensure};
use blocker::firewall::Firewall as _;
use blocker::firewall::interfaces::Chosen;
use blocker::firewall::nftables::{Hook, Nftables};
use jiff::Timestamp;

use crate::namespace::{in_namespace, reaches, run};
use crate::{HOUR, MAIL, apply, ban, jails};

/// The interfaces that the table drops packets on, as nft lists them.
fn interfaces() -> Result<Vec<String>> {
    let listing = run("nft", &["list", "table", "inet", "blocker"])?;
    let devices = listing
        .lines()
        .filter_map(|line| line.trim().split_once("hook ingress device \""));
    Ok(devices
        .filter_map(|(_, rest)| Some(rest.split_once('"')?.0.to_owned()))
        .collect())
}

#[test]
fn interfaces_that_come_and_go_are_followed() -> Result<()> {
    in_namespace(|| {
        let chosen = Chosen::new(&["lo".parse()?, "blk-l*".parse()?]);
        let mut firewall = Nftables::open(&jails(), Hook::Ingress(chosen))?;
        firewall.settle()?;
        let bans = [ban("192.0.2.7", &[(MAIL, HOUR)])?];
        apply(&mut firewall, &bans)?;
        assert_eq!(firewall.place(), "table inet blocker at ingress of lo");
        assert_eq!(interfaces()?, ["lo"]);
        ensure!(!reaches("192.0.2.7", 25)? && reaches("192.0.2.8", 25)?);

        let add = "link add blk-late type veth peer name blk-far";
        for (change, present) in [
            (add, &["lo", "blk-late"][..]),
            ("link delete blk-late", &["lo"]),
            (add, &["lo", "blk-late"]),
        ] {
            run("ip", &change.split(' ').collect::<Vec<_>>())?;
            assert_eq!(firewall.compare(&bans, Timestamp::now())?, []);
            assert_eq!(interfaces()?, present, "after {change}");
            ensure!(!reaches("192.0.2.7", 25)?, "after {change}");
        }
        run("nft", &["delete", "chain", "inet", "blocker", "ingress-0"])?;
        ensure!(reaches("192.0.2.7", 25)?);
        assert_eq!(firewall.compare(&bans, Timestamp::now())?, []);
        ensure!(
            !reaches("192.0.2.7", 25)?,
            "a chain that somebody removes is laid again"
        );
        Ok(())
    })
}
