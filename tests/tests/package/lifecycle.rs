//! From the first installation to the last trace, without systemd, as in a container: the agent is started by hand.

use std::net::IpAddr;

use blocker_lab::network::{HONEST, SPAMMERS};
use blocker_lab::smtp::Reach;
use blocker_tests::knocking::{Knocking, Observer};
use blocker_tests::{eventually, on_both_firewalls};

use super::made::{made, next};
use super::system::{CLEAN, System};

on_both_firewalls! {
    bans_stay_in_force_while_the_package_is_upgraded_and_nothing_is_left_when_it_is_purged
}

/// Files of the system that are no package's: what dpkg, apt and logs keep for themselves.
const NOT_OURS: &str = r"^/(var/lib/(dpkg|apt)|var/cache|var/log|root|tmp|run/(lock|mount))(/|$)|^/etc/ld\.so\.cache$";

fn files(system: &System) -> String {
    system.run(&format!(
        "find / -xdev | grep --extended-regexp --invert-match '{NOT_OURS}' | sort; cat /etc/passwd /etc/group"
    ))
}

/// What there is of blocker's in the kernel, by the system's own eyes and by the machine's.
fn in_kernel(system: &System) -> Vec<String> {
    let pins = system.run("find /sys/fs/bpf -mindepth 2");
    let tables = system
        .lab
        .relay()
        .command("nft")
        .args(["list", "tables"])
        .output()
        .unwrap();
    let tables = String::from_utf8(tables.stdout).unwrap();
    let links = system
        .lab
        .relay()
        .command("ip")
        .args(["-details", "link", "show", "eth0"])
        .output()
        .unwrap();
    let links = String::from_utf8(links.stdout).unwrap();
    let programs = links.lines().filter(|line| line.contains("xdp"));
    let tables = tables.lines().filter(|table| !table.contains("observer"));
    pins.lines().chain(tables).chain(programs).map(str::to_owned).collect()
}

/// What `blocker check` says of jails and settings, without where they stand.
fn check(system: &System) -> Vec<String> {
    let said = system.run("blocker check");
    let lines = said.lines().filter(|line| !line.starts_with("configuration: "));
    lines.map(str::to_owned).collect()
}

/// Lines of Postfix's that the compiled-in jails ban for.
pub(super) fn reject(system: &System, host: IpAddr) {
    let line = format!(
        "$(date --utc +%Y-%m-%dT%H:%M:%S.%6N%:z) relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[{host}]: 554 5.7.1 Service unavailable; \
         Client host [{host}] blocked using zen.spamhaus.org; from=<x@y.example> to=<a@relay.example> proto=ESMTP helo=<spam.example>"
    );
    system.run(&format!("for n in 1 2; do echo \"{line}\" >> /var/log/mail.log; done"));
}

fn bans_stay_in_force_while_the_package_is_upgraded_and_nothing_is_left_when_it_is_purged(firewall: &str) {
    let spammer = IpAddr::from(SPAMMERS[0]);
    let by_hand = IpAddr::from(SPAMMERS[1]);
    let system = System::new(CLEAN);
    let before = files(&system);
    system.install(&made().package);

    let with_files = check(&system);
    assert!(
        with_files.iter().any(|line| line.starts_with("jail postfix-spam: ")),
        "{with_files:?}"
    );
    system.run("mv /etc/blocker /etc/elsewhere");
    assert_eq!(with_files, check(&system), "the package's files change nothing");
    system.run("mv /etc/elsewhere /etc/blocker");
    for absent in ["nft", "cc", "clang", "llc", "ld"] {
        assert!(
            !system.try_run(&format!("command -v {absent}")).status.success(),
            "{absent} is there"
        );
    }

    let mut old = system.agent(&["--firewall", firewall]);
    reject(&system, spammer);
    old.says(&["banned", "jail=postfix-spam", "address=192.0.2.7 "]);
    system.run(&format!("blocker ban {by_hand} --for 1h"));
    assert_eq!(system.reach(by_hand), Reach::NoAnswer);
    assert_eq!(system.reach(HONEST.into()), Reach::Open);
    let observer = Observer::new_in(&system.lab, spammer);
    let mut knocking = Knocking::begin_in(&system.lab, spammer);
    knocking.go_on();

    system.install(&next().package);
    knocking.go_on();
    assert_eq!(
        system.run("dpkg-query --show --showformat '${Version}' blocker"),
        "0.1.0-2"
    );
    // No systemd has started it anew: the old program goes on until somebody does.
    system.run("blocker status");
    let (status, said) = old.stop();
    assert!(status.success(), "{said}");
    knocking.go_on();
    let mut new = system.agent(&["--firewall", firewall]);
    knocking.go_on();
    assert_eq!(system.reach(by_hand), Reach::NoAnswer);
    let sent = knocking.end();
    assert_eq!(observer.arrived(), 0, "of {sent} packets");

    assert_ne!(in_kernel(&system), [""; 0]);
    system.run("apt-get remove --yes blocker");
    let (status, said) = new.ends();
    assert!(status.success(), "{said}");
    assert_eq!(in_kernel(&system), [""; 0], "nothing would be there to lift bans with");
    eventually("the spammer gets through", || system.reach(spammer) == Reach::Open);
    assert_eq!(system.reach(by_hand), Reach::Open);
    system.run("test -e /etc/blocker/jail.conf -a -e /var/lib/blocker/ledger.db");

    system.run("echo mine > /etc/blocker/jail.local");
    system.run("apt-get purge --yes blocker");
    system.run("apt-get autoremove --purge --yes");
    let after = files(&system);
    let left: Vec<&str> = after.lines().filter(|line| !before.contains(*line)).collect();
    assert_eq!(left, [""; 0], "is left of blocker");
    assert_eq!(before, after);
    assert_eq!(system.run("find /sys/fs/bpf -name '*blocker*'"), "");
}

#[test]
fn a_package_whose_program_never_ran_goes_without_a_trace_too() {
    let system = System::new(CLEAN);
    let before = files(&system);
    system.install(&made().package);
    system.run("apt-get purge --yes blocker && apt-get autoremove --purge --yes");
    assert_eq!(before, files(&system));
}
