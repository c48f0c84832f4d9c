//! The unit under a real systemd, with everything that it asks to be kept from: it still bans, by real packets.

use std::net::IpAddr;

use blocker_lab::debian::systemd::Systemd;
use blocker_lab::network::{HONEST, SPAMMERS};
use blocker_lab::smtp::Reach;
use blocker_tests::knocking::{Knocking, Observer};
use blocker_tests::{eventually, on_both_firewalls};

use super::lifecycle::reject;
use super::made::{made, next};
use super::system::{System, WITH_SYSTEMD, WITH_TOOLS};

on_both_firewalls! {
    the_confined_service_bans_and_bans_stay_over_reload_kill_upgrade_and_stop
}

/// How much a service may be able to do, by systemd's own measure: from 0 to 10.
const EXPOSURE: f64 = 2.5;

/// `CAP_DAC_READ_SEARCH`, `CAP_NET_ADMIN`, `CAP_PERFMON` and `CAP_BPF`, by their numbers in `linux/capability.h`.
const CAPABILITIES: u64 = 1 << 2 | 1 << 12 | 1 << 38 | 1 << 39;

/// Runs a command in the running system, and gives what it printed.
fn run(systemd: &Systemd<'_>, line: &str) -> String {
    let output = systemd.output("sh", &["-c", line]).unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    if !output.status.success() {
        let log = systemd.output("journalctl", &["--no-pager", "--lines=40"]).unwrap();
        let log = String::from_utf8_lossy(&log.stdout).into_owned();
        panic!("`{line}`: {}\n{out}{err}\n{log}", output.status);
    }
    out.trim_end().to_owned()
}

fn property(systemd: &Systemd<'_>, name: &str) -> String {
    run(
        systemd,
        &format!("systemctl show --property={name} --value blocker.service"),
    )
}

fn comes_up(systemd: &Systemd<'_>, but: &str) {
    eventually("the service is up", || {
        // Both at once: between two questions it may end.
        let state = run(
            systemd,
            "systemctl show --property=ActiveState --property=MainPID blocker.service",
        );
        let is = |line: &str| state.lines().any(|told| told == line);
        is("ActiveState=active") && !is("MainPID=0") && !is(&format!("MainPID={but}"))
    });
}

fn the_confined_service_bans_and_bans_stay_over_reload_kill_upgrade_and_stop(firewall: &str) {
    let spammer = IpAddr::from(SPAMMERS[0]);
    let spared = IpAddr::from(SPAMMERS[1]);
    let system = System::new(WITH_SYSTEMD);
    let systemd = Systemd::start(&system.debian, &format!("{}-{firewall}", system.lab.relay().name()))
        .unwrap_or_else(|error| panic!("{error:#}"));
    // Readable for the log's own user and nobody else, as on a relay.
    run(&systemd, "chown 104:4 /var/log/mail.log && chmod 640 /var/log/mail.log");
    let (first, second) = (system.bring(&made().package), system.bring(&next().package));

    // The package's scripts start it.
    run(&systemd, &format!("dpkg --install {first}"));
    comes_up(&systemd, "");
    assert_eq!(run(&systemd, "systemctl is-enabled blocker"), "enabled");
    // An operator's own words, and a program of his that the service starts.
    run(
        &systemd,
        &format!("printf '[firewall]\\nkind = \"{firewall}\"\\n' > /etc/blocker/blocker.toml"),
    );
    run(
        &systemd,
        &format!("printf '[DEFAULT]\\nignorecommand = /usr/bin/test <ip> = {spared}\\n' > /etc/blocker/jail.local"),
    );
    run(&systemd, "systemctl reload blocker");
    assert!(run(&systemd, "blocker status").contains(firewall));

    let pid = property(&systemd, "MainPID");
    let status = run(&systemd, &format!("cat /proc/{pid}/status"));
    let value = |key: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap()
            .trim()
            .to_owned()
    };
    for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
        assert_eq!(u64::from_str_radix(&value(set), 16).unwrap(), CAPABILITIES, "{set}");
    }
    assert_eq!((value("Seccomp:").as_str(), value("NoNewPrivs:").as_str()), ("2", "1"));

    reject(&system, spared);
    reject(&system, spammer);
    let bans = || run(&systemd, "blocker bans --json");
    eventually("the spammer is banned", || bans().contains("192.0.2.7"));
    eventually("he is kept out", || system.reach(spammer) == Reach::NoAnswer);
    assert_eq!(system.reach(HONEST.into()), Reach::Open);
    assert!(!bans().contains("192.0.2.8"), "{}", bans());
    let observer = Observer::new_in(&system.lab, spammer);
    let mut knocking = Knocking::begin_in(&system.lab, spammer);
    knocking.go_on();

    run(&systemd, "systemctl kill --signal=KILL --kill-whom=main blocker");
    comes_up(&systemd, &pid);
    knocking.go_on();
    assert_eq!(property(&systemd, "NRestarts"), "1");

    let pid = property(&systemd, "MainPID");
    run(&systemd, &format!("dpkg --install {second}"));
    comes_up(&systemd, &pid);
    knocking.go_on();
    assert!(run(&systemd, "blocker bans --json").contains("192.0.2.7"));

    run(&systemd, "systemctl stop blocker");
    knocking.go_on();
    run(&systemd, "systemctl start blocker");
    knocking.go_on();
    let sent = knocking.end();
    assert_eq!(observer.arrived(), 0, "of {sent} packets");
    // Nothing that it tried was denied to it, but for what it says itself.
    let said = run(&systemd, "journalctl --unit=blocker --no-pager --output=cat");
    assert!(
        !said.contains("denied") && !said.contains("not permitted") && !said.contains("Read-only"),
        "{said}"
    );
    assert_eq!(said.matches(" ERROR ").count(), 0, "{said}");

    run(&systemd, "dpkg --remove blocker");
    assert_eq!(system.reach(spammer), Reach::Open);
    run(&systemd, "dpkg --purge blocker");
    let left = run(
        &systemd,
        "find /etc /usr /var/lib /run /sys/fs/bpf -name '*blocker*' -not -path '/var/lib/dpkg/*'",
    );
    assert_eq!(left, "", "is left");
    assert_eq!(
        run(&systemd, "systemctl list-units --failed --quiet --plain --no-legend"),
        ""
    );
}

#[test]
fn the_unit_is_sound_and_may_do_little() {
    let system = System::new(WITH_TOOLS);
    system.install(&made().package);
    let unit = "/usr/lib/systemd/system/blocker.service";
    let verified = system.run(&format!("systemd-analyze verify --man=yes {unit} 2>&1"));
    assert_eq!(verified, "");
    let said = system.run(&format!("systemd-analyze security --offline=true --no-pager {unit}"));
    let line = said
        .lines()
        .find(|line| line.contains("Overall exposure level"))
        .unwrap();
    println!("{line}");
    let level = line
        .split(": ")
        .nth(1)
        .and_then(|level| level.split(' ').next())
        .unwrap();
    assert!(level.parse::<f64>().unwrap() <= EXPOSURE, "{said}");
}
