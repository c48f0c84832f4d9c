//! The table among others: laid, listed, removed by somebody else, refused.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use blocker::ban::Scope;
use blocker::firewall::nftables::{Hook, Nftables};
use blocker::firewall::{Firewall as _, JailScope};
use jiff::Timestamp;

use crate::namespace::{elements, in_namespace, reaches, run, tables};
use crate::{HOUR, MAIL, SUBMISSION, apply, ban, jails, open};

#[test]
fn a_table_replaces_the_one_before_it_and_stays_until_it_is_cleared() -> Result<()> {
    in_namespace(|| {
        run(
            "nft",
            &["add table inet blocker; add set inet blocker old { type ipv4_addr; }; add table inet other"],
        )?;
        let mut killed = open(&jails())?;
        apply(&mut killed, &[ban("192.0.2.7", &[(MAIL, HOUR)])?])?;
        drop(killed);
        assert!(!reaches("192.0.2.7", 25)?);

        let firewall = open(&jails()[..1])?;
        assert!(elements("jail-mail-ipv4")?.is_empty());
        assert!(elements("old").is_err() && elements("jail-submission-ipv4").is_err());
        assert!(reaches("192.0.2.7", 25)?);
        assert_eq!(firewall.counters()?.len(), 6);
        drop(firewall);
        assert_eq!(tables()?, ["table inet other", "table inet blocker"]);
        Nftables::clear()?;
        assert_eq!(tables()?, ["table inet other"]);
        Ok(())
    })
}

#[test]
fn a_table_that_somebody_removed_is_laid_and_filled_again() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        apply(
            &mut firewall,
            &[
                ban("192.0.2.7", &[(MAIL, HOUR)])?,
                ban("2001:db8::7", &[(SUBMISSION, HOUR)])?,
                ban("2001:db8::/48", &[(MAIL, HOUR)])?,
                ban("192.0.2.9", &[(MAIL, HOUR)])?,
            ],
        )?;
        firewall.allow(&["192.0.2.9/32".parse()?])?;
        run("nft", &["flush", "ruleset"])?;
        assert!(reaches("192.0.2.7", 25)?);
        let error = firewall.counters().err().context("no counters, no counts")?;
        assert!(format!("{error:#}").contains("jail-mail-ipv4-dropped"), "{error:#}");

        apply(&mut firewall, &[ban("192.0.2.8", &[(MAIL, HOUR)])?])?;
        assert!(!reaches("192.0.2.7", 25)? && !reaches("192.0.2.8", 25)? && !reaches("2001:db8::7", 587)?);
        let (_, timeout) = elements("jail-submission-ipv6")?.pop().context("an element")?;
        assert!(timeout.is_some_and(|(_, left)| left > 3500), "{timeout:?}");
        assert!(!reaches("2001:db8::8", 25)?, "a network");
        assert!(reaches("192.0.2.9", 25)?, "the allowlist");

        run("nft", &["flush", "ruleset"])?;
        firewall.allow(&["192.0.2.8/32".parse()?])?;
        assert!(
            !reaches("192.0.2.9", 25)? && reaches("192.0.2.8", 25)?,
            "a new allowlist"
        );

        run("nft", &["flush", "ruleset"])?;
        Nftables::clear()?;
        assert!(tables()?.is_empty());
        Ok(())
    })
}

#[test]
fn a_table_that_somebody_put_to_sleep_or_changed_is_laid_again_with_the_next_comparison() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        let bans = [ban("192.0.2.7", &[(MAIL, HOUR)])?];
        apply(&mut firewall, &bans)?;
        assert_eq!(firewall.compare(&bans, Timestamp::now())?, []);
        for change in [
            "add table inet blocker { flags dormant; }",
            "flush chain inet blocker prerouting; add rule inet blocker prerouting accept; add rule inet blocker prerouting accept",
        ] {
            run("nft", &[change])?;
            assert!(reaches("192.0.2.7", 25)?, "{change}");
            assert_eq!(firewall.compare(&bans, Timestamp::now())?, []);
            assert!(!reaches("192.0.2.7", 25)?, "after {change}");
        }
        Ok(())
    })
}

#[test]
fn what_the_kernel_refuses_does_not_take_the_rest_down() -> Result<()> {
    in_namespace(|| {
        let mut firewall = open(&jails())?;
        // Somebody takes a set away, and puts a rule of his own in the place of ours.
        run(
            "nft",
            &[
                "flush chain inet blocker jail-submission-ipv4; delete set inet blocker jail-submission-ipv4; \
               add rule inet blocker jail-submission-ipv4 counter",
            ],
        )?;
        let changes = [
            ban("192.0.2.1", &[(MAIL, HOUR)])?,
            ban("192.0.2.2", &[(MAIL, HOUR), (SUBMISSION, HOUR)])?,
            ban("192.0.2.3", &[(MAIL, HOUR)])?,
            ban("192.0.2.4", &[(9, HOUR)])?,
            ban("192.0.2.5", &[(SUBMISSION, HOUR)])?,
            ban("2001:db8::1", &[(SUBMISSION, HOUR)])?,
        ];
        let rejected = firewall.apply(&changes, Timestamp::now());
        assert_eq!(
            rejected.iter().map(|rejected| rejected.change).collect::<Vec<_>>(),
            [1, 3, 4]
        );
        let errors = rejected
            .iter()
            .map(|rejected| rejected.error.to_string())
            .collect::<Vec<_>>();
        assert_eq!(
            errors[0],
            "nftables: the kernel refused 192.0.2.2: ENOENT: No such file or directory"
        );
        assert_eq!(errors[1], "nftables: 192.0.2.4 is banned by jail 9, which there is not");
        let mut held = elements("jail-mail-ipv4")?
            .into_iter()
            .map(|(address, _)| address)
            .collect::<Vec<_>>();
        held.sort();
        assert_eq!(held, ["192.0.2.1", "192.0.2.3"]);
        assert_eq!(elements("jail-submission-ipv6")?.len(), 1);
        Ok(())
    })
}

#[test]
fn every_jail_s_name_makes_a_listing_that_nft_reads() -> Result<()> {
    in_namespace(|| {
        let long = "x".repeat(64);
        let names = ["25", "drop", "-", "_", "0x1", "1h", "Postfix-SASL_2", &long];
        let scope = Scope {
            tcp: vec![1..=1, 25..=26, 65535..=65535],
            udp: vec![53..=53, 0..=0],
        };
        let jails = names.map(|name| JailScope {
            name: name.to_owned(),
            scope: scope.clone(),
        });
        let mut firewall = open(&jails)?;
        let bans = (0..).zip(&names).map(|(n, _)| (n, HOUR)).collect::<Vec<_>>();
        let subjects = [
            "192.0.2.7",
            "192.0.0.0/16",
            "0.0.0.0/0",
            "2001:db8::7",
            "2001:db8::/64",
            "2001:db8::/47",
        ];
        apply(
            &mut firewall,
            &subjects
                .map(|subject| ban(subject, &bans))
                .into_iter()
                .collect::<Result<Vec<_>>>()?,
        )?;
        let allowed = [
            "127.0.0.0/8",
            "192.0.2.8/31",
            "255.255.255.255/32",
            "::1/128",
            "2001:db8::9/128",
        ];
        firewall.allow(&allowed.map(str::parse).into_iter().collect::<Result<Vec<_>, _>>()?)?;
        let listing = run("nft", &["list", "table", "inet", "blocker"])?;
        drop(firewall);
        Nftables::clear()?;

        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &listing)?;
        run("nft", &["-f", file.path().to_str().context("a path")?])?;
        let again = run("nft", &["list", "table", "inet", "blocker"])?;
        // The ends go on; all else is the same.
        let lines = |listing: &str| {
            listing
                .lines()
                .filter(|line| !line.contains("expires"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(lines(&listing), lines(&again));
        for (banned, allowed) in [("192.0.2.7", "192.0.2.8"), ("2001:db8::7", "2001:db8::9")] {
            assert!(
                !reaches(banned, 25)? && reaches(allowed, 25)?,
                "the rules work as nft reads them"
            );
        }
        Ok(())
    })
}

#[test]
fn without_the_capability_the_error_says_what_to_do() -> Result<()> {
    const NAME: &str = "table::without_the_capability_the_error_says_what_to_do";
    if std::env::var_os(NAME).is_some() {
        let error = Nftables::open(&jails(), Hook::Prerouting)
            .err()
            .context("opened without CAP_NET_ADMIN")?;
        ensure!(
            error
                .to_string()
                .starts_with("nftables needs CAP_NET_ADMIN: run as root"),
            "{error:#}"
        );
        return Ok(());
    }
    in_namespace(|| {
        let output = Command::new("setpriv")
            .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"])
            .arg(std::env::current_exe()?)
            .args(["--exact", NAME])
            .env(NAME, "1")
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success() && said.contains("1 passed"), "{said}");
        Ok(())
    })
}
