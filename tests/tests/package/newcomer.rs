//! A newcomer's path, with the clock beside it: from a clean Debian with a fail2ban to the first packet that the kernel drops.

use std::net::IpAddr;
use std::time::Instant;

use blocker_lab::network::{HONEST, SPAMMERS};
use blocker_lab::smtp::Reach;
use blocker_tests::eventually;

use super::lifecycle::reject;
use super::made::made;
use super::system::{CLEAN, System};

/// Tells how long a step took.
fn step<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    println!("{:6.2} s  {what}", begun.elapsed().as_secs_f64());
    done
}

#[test]
fn from_a_clean_debian_with_fail2ban_to_the_first_drop() {
    let spammer = IpAddr::from(SPAMMERS[0]);
    let system = System::new(CLEAN);
    let package = system.bring(&made().package);
    // What is there before: a fail2ban with Debian's own jails for Postfix, as they are.
    system.run("apt-get install --yes --no-install-recommends fail2ban");
    system.write(
        "/etc/fail2ban/jail.d/postfix.local",
        "[postfix]\nenabled = true\n[postfix-rbl]\nenabled = true\n[postfix-sasl]\nenabled = true\n",
    );
    system.write("/var/log/auth.log", "");

    step("apt-get install ./blocker.deb", || {
        system.run(&format!("apt-get install --yes {package}"))
    });
    let said = step("blocker check --config /etc/fail2ban", || {
        system.run("blocker check --config /etc/fail2ban")
    });
    assert!(
        said.contains("jail postfix: ") && said.contains("jail postfix-sasl: "),
        "{said}"
    );
    let mut agent = step("blocker run --config /etc/fail2ban, until it is ready", || {
        system.agent(&["--config", "/etc/fail2ban"])
    });
    assert_eq!(system.reach(spammer), Reach::Open);
    // fail2ban's own jail for block lists bans for the first failure.
    step("from the line in the log to the first packet that is dropped", || {
        reject(&system, spammer);
        agent.says(&["banned", "address=192.0.2.7 "]);
        eventually("the spammer is kept out", || system.reach(spammer) == Reach::NoAnswer);
    });
    assert_eq!(system.reach(HONEST.into()), Reach::Open);
    agent.stop();
}
