//! Statuses and bans to try things with.

use std::time::Instant;

use jiff::SignedDuration;

use super::super::poll::{Answer, News};
use crate::api::model::Ban;
pub(in super::super) use crate::api::model::samples::{NOW, jail, status};

pub(in super::super) fn news(at: Instant, answer: Answer) -> News {
    News { at, answer }
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
