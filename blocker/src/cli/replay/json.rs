//! Bans and their sums as JSON, for programs.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::super::figures::seconds;
use super::super::json::write;
use crate::ban::{Ban, Expiry};
use crate::replay::Tally;

#[derive(Serialize)]
struct BanObject<'a> {
    time: f64,
    jail: &'a str,
    address: String,
    /// `null` where the ban does not end by itself.
    until: Option<f64>,
    failures: u32,
}

#[derive(Serialize)]
struct Summary {
    lines: u64,
    failures: u64,
    saved: u64,
    bans: u64,
    seconds: f64,
    lines_per_second: f64,
}

/// One line a ban.
pub(super) fn ban(jail: &str, ban: &Ban, out: &mut impl Write) -> io::Result<()> {
    let object = BanObject {
        time: seconds(ban.since),
        jail,
        address: ban.subject.to_string(),
        until: match ban.until {
            Expiry::At(time) => Some(seconds(time)),
            Expiry::Never => None,
        },
        failures: ban.failures,
    };
    write(&object, out)
}

/// The last line.
pub(super) fn summary(tally: &Tally, taken: Duration, out: &mut impl Write) -> io::Result<()> {
    let seconds = taken.as_secs_f64();
    let object = Summary {
        lines: tally.lines,
        failures: tally.all.failures,
        saved: tally.all.saved,
        bans: tally.all.bans,
        seconds,
        lines_per_second: tally.lines as f64 / seconds.max(1e-6),
    };
    write(&object, out)
}
