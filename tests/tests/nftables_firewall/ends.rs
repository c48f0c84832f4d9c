//! How long a ban lasts.

use anyhow::{Context as _, Result};
use blocker::ban::{Change, Enforced, Expiry, JailId};
use blocker::firewall::Firewall as _;
use jiff::{Timestamp, ToSpan as _};

use crate::namespace::{elements, eventually, in_namespace, reaches, run};
use crate::{HOUR, MAIL, apply, ban, jails, open};

#[test]
fn the_kernel_ends_a_ban_by_itself_and_an_extended_one_later() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let short = ["192.0.2.7", "192.0.2.8"].map(|address| ban(address, &[(MAIL, 2000)]));
        apply(&mut firewall, &short.into_iter().collect::<Result<Vec<_>>>()?)?;
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        assert!(!reaches("192.0.2.7", 25)? && !reaches("192.0.2.8", 25)?);
        eventually("the short ban ends", || reaches("192.0.2.8", 25))?;
        assert!(!reaches("192.0.2.7", 25)?, "the extended ban goes on");

        // What has expired can be lifted and banned again.
        apply(&mut firewall, &[ban("192.0.2.8", &[])?])?;
        apply(&mut firewall, &[ban("192.0.2.8", &[(MAIL, HOUR)])?])?;
        assert!(!reaches("192.0.2.8", 25)?);
        Ok(())
    })
}

#[test]
fn bans_among_which_one_was_put_there_by_somebody_else_all_get_their_own_ends() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let theirs = "add element inet blocker jail-mail-ipv4 { 192.0.2.8 timeout 1d }";
        run("nft", &theirs.split(' ').collect::<Vec<_>>())?;
        let bans = ["192.0.2.7", "192.0.2.8", "192.0.2.9"].map(|address| ban(address, &[(MAIL, HOUR)]));
        apply(&mut firewall, &bans.into_iter().collect::<Result<Vec<_>>>()?)?;
        let held = elements("jail-mail-ipv4")?;
        assert_eq!(held.len(), 3);
        for (address, timeout) in held {
            let (_, left) = timeout.context("a timeout")?;
            assert!((3590..=3600).contains(&left), "{address}: {left}");
        }
        Ok(())
    })
}

#[test]
fn a_shorter_ban_replaces_a_longer_one_and_an_end_one_without() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let never = vec![Enforced {
            jail: JailId(MAIL),
            until: Expiry::Never,
        }];
        let forever = Change {
            subject: "192.0.2.8".parse()?,
            bans: never,
        };
        apply(&mut firewall, &[ban("192.0.2.7", &[(MAIL, HOUR)])?, forever.clone()])?;
        let mut held = elements("jail-mail-ipv4")?;
        held.sort();
        let (address, timeout) = &held[0];
        assert_eq!(address, "192.0.2.7");
        let (_, left) = timeout.context("a timeout")?;
        assert!((3590..=3600).contains(&left), "{left}");
        assert_eq!(held[1], ("192.0.2.8".to_owned(), None));

        apply(
            &mut firewall,
            &[ban("192.0.2.7", &[(MAIL, 500)])?, ban("192.0.2.8", &[(MAIL, 500)])?],
        )?;
        eventually("both bans end", || Ok(elements("jail-mail-ipv4")?.is_empty()))?;

        apply(&mut firewall, &[ban("192.0.2.8", &[(MAIL, HOUR)])?])?;
        apply(&mut firewall, &[forever])?;
        assert_eq!(elements("jail-mail-ipv4")?, [("192.0.2.8".to_owned(), None)]);
        Ok(())
    })
}

#[test]
fn a_ban_whose_end_is_past_is_not_held() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(
            &mut firewall,
            &[ban("192.0.2.7", &[(MAIL, -1)])?, ban("192.0.2.8", &[(MAIL, HOUR)])?],
        )?;
        assert_eq!(elements("jail-mail-ipv4")?.len(), 1);
        apply(&mut firewall, &[ban("192.0.2.8", &[(MAIL, 0)])?])?;
        assert!(elements("jail-mail-ipv4")?.is_empty());
        assert!(reaches("192.0.2.7", 25)? && reaches("192.0.2.8", 25)?);
        Ok(())
    })
}

#[test]
fn the_nearest_and_the_farthest_end_are_kept() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let now = Timestamp::now();
        let until = |address: &str, end| -> Result<Change> {
            let bans = vec![Enforced {
                jail: JailId(MAIL),
                until: Expiry::At(end),
            }];
            Ok(Change {
                subject: address.parse()?,
                bans,
            })
        };
        let nearest = until("192.0.2.7", now.checked_add(1.nanosecond())?)?;
        let rejected = firewall.apply(&[nearest, until("192.0.2.8", Timestamp::MAX)?], now);
        assert!(rejected.is_empty(), "{rejected:?}");
        eventually("the nearest end", || reaches("192.0.2.7", 25))?;
        assert!(!reaches("192.0.2.8", 25)?);
        Ok(())
    })
}
