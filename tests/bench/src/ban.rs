//! What a ban takes on its way into the kernel, and a restart with many of them.
//!
//! *In a batch*: bans are handed to a firewall all at once, as when an agent starts; beside it stands what the kernel alone takes for the same
//! elements, from a loop that does nothing but that. The processor's time of the thread counts.
//!
//! *Restart*: the real agent, release build, with bans in force, while a banned host goes on knocking; packets that come past
//! blocker are counted behind it.
//!
//! *fail2ban*: its nftables action, told of hosts one after the other as its log filter would tell it, and its restart, while a banned host
//! knocks as well.

mod bare_map;
mod bare_set;
mod batch;
mod fail2ban;
mod restart;
mod their_restart;

use anyhow::Result;

use crate::bench::{Bench, Ground};
use crate::report::Report;

pub(crate) const BENCH: Bench = Bench {
    name: "ban",
    about: "bans into the kernel, beside what the kernel alone takes, and restarts; fail2ban's with its nftables action",
    run,
};

fn run(ground: &Ground) -> Result<Report> {
    let mut report = Report::default();
    batch::run(ground, &mut report)?;
    restart::run(ground, &mut report)?;
    fail2ban::run(ground, &mut report)?;
    their_restart::run(ground, &mut report)?;
    Ok(report)
}
