//! Statuses to try things with.

use jiff::{SignedDuration, Timestamp};

use super::{Interface, Jail, Status};

/// The time at which the samples are looked at.
pub(crate) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// A jail that has dropped so many packets.
pub(crate) fn jail(name: &str, dropped: u64) -> Jail {
    Jail {
        name: name.to_owned(),
        scope: "tcp/25".to_owned(),
        logs: vec!["/var/log/mail.log".to_owned()],
        failures: 40,
        bans_made: 12,
        bans: 3,
        dropped_packets: dropped,
    }
}

/// An agent that is well.
pub(crate) fn status(jails: impl Into<Vec<Jail>>) -> Status {
    let jails = jails.into();
    Status {
        version: "0.1.0".to_owned(),
        pid: 42,
        started: NOW - SignedDuration::from_hours(1),
        configuration: "/etc/blocker".to_owned(),
        dry_run: false,
        firewall: "xdp".to_owned(),
        interfaces: vec![Interface {
            interface: "eth0".to_owned(),
            mode: "driver".to_owned(),
        }],
        bans: jails.iter().map(|jail| jail.bans).sum(),
        dropped_packets: jails.iter().map(|jail| jail.dropped_packets).sum(),
        jails,
        broken_jails: Vec::new(),
        sources: Vec::new(),
        enforced_ratio: 1.0,
        ledger_durable: true,
        brake_engaged: false,
    }
}
