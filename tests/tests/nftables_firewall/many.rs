//! As many bans as a large relay has.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blocker::ban::{Change, Enforced, Expiry, JailId};
use blocker::firewall::nftables::Nftables;
use blocker::firewall::{Firewall as _, Rejected};
use jiff::Timestamp;

use crate::namespace::{elements, in_namespace, run};
use crate::{HOUR, MAIL, SUBMISSION, ban, jails, open};

/// Far more than it takes anywhere.
const DEADLINE: Duration = Duration::from_secs(10);

/// Applies the changes, and says how long that took.
fn timed(firewall: &mut Nftables, changes: &[Change], what: &str) -> Result<Vec<Rejected>> {
    let start = Instant::now();
    let rejected = firewall.apply(changes, Timestamp::now());
    let took = start.elapsed();
    println!("{} bans {what}: {took:?}", changes.len());
    ensure!(took < DEADLINE, "{what}: {took:?}");
    Ok(rejected)
}

#[test]
fn a_hundred_thousand_changes_at_once() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
        let address = |n| Ipv4Addr::from(base + n).to_string();
        let mut changes = (0..100_000)
            .map(|n| ban(&address(n), &[(MAIL, HOUR)]))
            .collect::<Result<Vec<_>>>()?;
        for what in ["made", "extended"] {
            let rejected = timed(&mut firewall, &changes, what)?;
            assert!(rejected.is_empty(), "{rejected:?}");
        }
        assert_eq!(elements("jail-mail-ipv4")?.len(), 100_000);

        // A refusal in the midst of many costs little.
        changes[50_000].bans.push(Enforced {
            jail: JailId(SUBMISSION),
            until: Expiry::Never,
        });
        run(
            "nft",
            &[
                "flush chain inet blocker jail-submission-ipv4; delete set inet blocker jail-submission-ipv4; \
               add rule inet blocker jail-submission-ipv4 counter",
            ],
        )?;
        let rejected = timed(&mut firewall, &changes, "extended, one of them refused")?;
        assert_eq!(
            rejected.iter().map(|rejected| rejected.change).collect::<Vec<_>>(),
            [50_000]
        );

        changes.iter_mut().for_each(|change| change.bans.clear());
        let rejected = timed(&mut firewall, &changes, "lifted")?;
        assert!(rejected.is_empty(), "{rejected:?}");
        assert!(elements("jail-mail-ipv4")?.is_empty());
        Ok(())
    })
}

#[test]
fn a_hundred_thousand_networks_at_once() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        // Of three lengths, within one another.
        let network = |n: u32| match n % 3 {
            0 => format!("{}/24", Ipv4Addr::from(n << 12)),
            1 => format!("{}/20", Ipv4Addr::from((n - 1) << 12)),
            _ => format!("2001:db8:{:x}:{:x}::/64", n >> 16, n & 0xffff),
        };
        let changes = (0..100_000)
            .map(|n| ban(&network(n), &[(MAIL, HOUR)]))
            .collect::<Result<Vec<_>>>()?;
        let rejected = timed(&mut firewall, &changes, "of networks made")?;
        assert!(rejected.is_empty(), "{rejected:?}");
        let held = ["jail-mail-ipv4-24", "jail-mail-ipv4-20", "jail-mail-ipv6-64"].map(elements);
        let held = held
            .into_iter()
            .map(|held| Ok(held?.len()))
            .collect::<Result<Vec<_>>>()?;
        assert_eq!(held, [33_334, 33_333, 33_333]);
        Ok(())
    })
}

/// More than are compared by having all of them told.
#[test]
fn what_is_missing_among_very_many_is_found_in_good_time() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let base = u32::from(Ipv4Addr::new(10, 0, 0, 0));
        let mut wanted = (0..110_000)
            .map(|n| ban(&Ipv4Addr::from(base + n).to_string(), &[(MAIL, HOUR)]))
            .collect::<Result<Vec<_>>>()?;
        let rejected = timed(&mut firewall, &wanted, "made")?;
        assert!(rejected.is_empty(), "{rejected:?}");
        let mut compare = |wanted: &[Change]| -> Result<Vec<String>> {
            let start = Instant::now();
            let differing = firewall.compare(wanted, Timestamp::now())?;
            println!("{} bans compared: {:?}", wanted.len(), start.elapsed());
            ensure!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
            Ok(differing.iter().map(|change| change.subject.to_string()).collect())
        };
        assert_eq!(compare(&wanted)?, Vec::<String>::new());
        run(
            "nft",
            &["delete element inet blocker jail-mail-ipv4 { 10.0.0.7, 10.1.2.3 }"],
        )?;
        wanted[9] = ban("10.0.0.9", &[(MAIL, 2 * HOUR)])?;
        wanted.push(ban("192.0.2.7", &[(MAIL, HOUR)])?);
        assert_eq!(compare(&wanted)?, ["10.0.0.7", "10.0.0.9", "10.1.2.3", "192.0.2.7"]);

        run("nft", &["flush set inet blocker jail-mail-ipv4"])?;
        assert_eq!(compare(&wanted)?.len(), wanted.len());
        Ok(())
    })
}
