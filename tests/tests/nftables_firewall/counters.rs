//! What became of packets, as the firewall counts it.

use anyhow::Result;
use blocker::ban::JailId;
use blocker::firewall::{Counted, Firewall as _, Kind};
use blocker_common::map::Outcome;
use blocker_common::packet::Family;

use crate::namespace::{counter, in_namespace, reaches};
use crate::{HOUR, MAIL, SUBMISSION, apply, ban, jails, open};

#[test]
fn every_jail_family_and_outcome_is_counted_in_that_order() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let changes = [
            ban("192.0.2.7", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?,
            ban("2001:db8::7", &[(MAIL, HOUR)])?,
            ban("2001:db8::8", &[(MAIL, HOUR)])?,
        ];
        apply(&mut firewall, &changes)?;
        firewall.allow(&["2001:db8::8/128".parse()?])?;
        for (address, port, passes) in [
            ("192.0.2.7", 25, false),
            ("192.0.2.7", 587, false),
            ("192.0.2.7", 587, false),
            ("192.0.2.7", 8080, true),
            ("2001:db8::7", 25, false),
        ] {
            assert_eq!(reaches(address, port)?, passes, "{address} to {port}");
        }
        let counted = |jail, family, outcome, packets, bytes| Counted {
            firewall: Kind::Nftables,
            jail: JailId(jail),
            family,
            outcome,
            packets,
            bytes,
        };
        let mut expected = Vec::new();
        for (jail, family, packets, bytes) in [
            (0, Family::Ipv4, 1, 60),
            (0, Family::Ipv6, 1, 80),
            (1, Family::Ipv4, 2, 120),
            (1, Family::Ipv6, 0, 0),
            (2, Family::Ipv4, 0, 0),
            (2, Family::Ipv6, 0, 0),
        ] {
            expected.push(counted(jail, family, Outcome::Dropped, packets, bytes));
            expected.push(counted(jail, family, Outcome::Allowed, 0, 0));
            expected.push(counted(jail, family, Outcome::WouldDrop, 0, 0));
        }
        assert_eq!(firewall.counters()?, expected);
        assert_eq!(
            counter("jail-submission-ipv4-dropped")?,
            (2, 120),
            "nft counts the same"
        );

        // How many packets a connection takes is the kernel's affair.
        assert!(reaches("2001:db8::8", 25)?);
        let (packets, bytes) = counter("jail-mail-ipv6-allowed")?;
        assert!(packets > 1, "{packets}");
        // Jail 0, the second family of two, the second outcome of three.
        expected[4] = counted(0, Family::Ipv6, Outcome::Allowed, packets, bytes);
        assert_eq!(firewall.counters()?, expected);
        Ok(())
    })
}
