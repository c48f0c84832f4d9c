//! Statuses and bans to try things with.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::super::poll::{Answer, News};
use crate::api::model::{Ban, Interface, Jail, Status};

/// The time at which the samples are looked at.
pub(in super::super) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

pub(in super::super) fn news(at: Instant, answer: Answer) -> News {
    News { at, answer }
}

/// A jail that has dropped so many packets.
pub(in super::super) fn jail(name: &str, dropped: u64) -> Jail {
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
pub(in super::super) fn status(jails: impl Into<Vec<Jail>>) -> Status {
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

/// So many bans, of 192.0.2.1 and on.
pub(in super::super) fn bans(count: u8) -> Vec<Ban> {
    let ban = |n: u8| Ban {
        address: format!("192.0.2.{n}"),
        jail: "spam".to_owned(),
        origin: "jail".to_owned(),
        since: NOW - SignedDuration::from_secs(60 * i64::from(n)),
        until: Some(NOW + SignedDuration::from_hours(1)),
        failures: 2,
        packets: Some(1000 - u64::from(n)),
        last_knock: Some(NOW - SignedDuration::from_secs(n.into())),
        enforced: true,
    };
    (1..=count).map(ban).collect()
}
