//! Against what no firewall can leave out, with none to a million bans.
//!
//! The plain program reads the port, looks the source up in a hash of the same size and compares the time. blocker's own
//! looks at VLAN tags, fragments and scopes besides, asks the allowlist, and counts for the jail and for the host.

use anyhow::{Context as _, Result};
use aya::EbpfLoader;
use aya::maps::{HashMap, MapData};
use blocker_common::map::DEFAULT_HOSTS;

use super::{Scattered, XDP_DROP, XDP_PASS, hot, scattered};
use crate::kernel::hosts::{OTHER_PORT, PORT, Syn, Version, ipv4, ipv6};
use crate::kernel::ours::{self, ALLOWED};
use crate::kernel::program::{OBJECT, Program};
use crate::kernel::sender::Frames;
use crate::report::{Report, Table, Unit};
use crate::rounds::alternate_all;

const NOTHING: &str = "an empty program";
const PARSE: &str = "a program that reads the port";
const PLAIN_BANNED: &str = "plain look-up, banned";
const PLAIN_UNKNOWN: &str = "plain look-up, unknown";
const BANNED: &str = "blocker, banned";
const UNKNOWN: &str = "blocker, unknown";
const ALLOWED_TOO: &str = "blocker, banned and allowed";
const OTHER: &str = "blocker, another port";

/// An end that never comes, in nanoseconds of `CLOCK_MONOTONIC`.
const FOREVER: u64 = i64::MAX as u64;

pub(super) fn run(rounds: usize, report: &mut Report) -> Result<()> {
    for version in [Version::Ipv4, Version::Ipv6] {
        for bans in [0, 1_000, 100_000, 1_000_000] {
            with(rounds, version, bans, report)?;
        }
    }
    Ok(())
}

fn with(rounds: usize, version: Version, bans: u32, report: &mut Report) -> Result<()> {
    let name = version.name();
    let (nothing, parse) = (Program::own("nothing")?, Program::own("parse")?);
    let plain = plain(version, bans)?;
    let mut ours = ours::load(version, bans)?;
    let frame = |number, port| Ok::<_, anyhow::Error>(Syn::from(version, number, port)?.bytes);
    let (banned, unknown) = (frame(7, PORT)?, frame(bans + 7, PORT)?);
    let (allowed, other) = (frame(ALLOWED, PORT)?, frame(7, OTHER_PORT)?);

    let program = &*ours.program()?;
    let mut measured = vec![
        hot(NOTHING, nothing.xdp()?, &banned),
        hot(PARSE, parse.xdp()?, &banned),
        hot(PLAIN_UNKNOWN, plain.xdp()?, &unknown),
        hot(OTHER, program, &other),
        hot(UNKNOWN, program, &unknown),
    ];
    if bans > 0 {
        measured.push(hot(PLAIN_BANNED, plain.xdp()?, &banned));
        measured.push(hot(BANNED, program, &banned));
        measured.push(hot(ALLOWED_TOO, program, &allowed));
    }
    let against = if bans > 0 { PLAIN_BANNED } else { PLAIN_UNKNOWN };
    let heading = format!("{name}, {bans} bans, hot");
    let table = Table::against(&heading, Unit::Nanoseconds, against, alternate_all(rounds, measured)?);
    if bans == 100_000 {
        let figure = table.ratio_between(OTHER, PARSE);
        report.at_most(
            &format!("{name}: a packet to another port against {PARSE}"),
            figure,
            1.1,
        );
    }
    report.add(table);

    ours::check(&mut ours, &unknown, XDP_PASS)?;
    ours::check(&mut ours, &other, XDP_PASS)?;
    if bans == 0 {
        return Ok(());
    }
    ours::check(&mut ours, &banned, XDP_DROP)?;
    ours::check(&mut ours, &allowed, XDP_PASS)?;
    let (there, absent) = ((version, 0, bans), (version, bans, bans));
    let ours = ours::fd(&mut ours)?;
    let all = [
        Scattered::new(PLAIN_UNKNOWN, absent, Frames::Whole, &plain.fd()?)?,
        Scattered::new(PLAIN_BANNED, there, Frames::Whole, &plain.fd()?)?,
        Scattered::new(UNKNOWN, absent, Frames::Split, &ours)?,
        Scattered::new(BANNED, there, Frames::Split, &ours)?,
    ];
    let heading = format!("{name}, {bans} bans, scattered");
    let table = Table::against(
        &heading,
        Unit::Nanoseconds,
        PLAIN_BANNED,
        scattered(rounds, (version, bans), &all)?,
    );
    if bans >= 100_000 {
        for (kind, ours, plain) in [("banned", BANNED, PLAIN_BANNED), ("unknown", UNKNOWN, PLAIN_UNKNOWN)] {
            let what = format!("{heading}, {kind}: blocker's time against a plain look-up's");
            report.at_most(&what, table.ratio_between(ours, plain), 1.0);
        }
    }
    report.add(table);
    Ok(())
}

/// The plain program with so many bans, in a hash as large as blocker's.
fn plain(version: Version, bans: u32) -> Result<Program> {
    let (name, map) = match version {
        Version::Ipv4 => ("look_up_ipv4", "UNTIL_IPV4"),
        Version::Ipv6 => ("look_up_ipv6", "UNTIL_IPV6"),
    };
    let mut loader = EbpfLoader::new();
    let mut program = Program::load(loader.map_max_entries(map, DEFAULT_HOSTS as u32), OBJECT, name)?;
    let table = program.map(map)?;
    let context = "the plain program's map does not take a host";
    match version {
        Version::Ipv4 => {
            let mut table: HashMap<MapData, [u8; 4], u64> = table.try_into()?;
            for number in 0..bans {
                table.insert(ipv4(number).octets(), FOREVER, 0).context(context)?;
            }
        }
        Version::Ipv6 => {
            let mut table: HashMap<MapData, [u8; 8], u64> = table.try_into()?;
            for number in 0..bans {
                let octets = ipv6(number).octets();
                let key = std::array::from_fn(|n| octets[n]);
                table.insert(key, FOREVER, 0).context(context)?;
            }
        }
    }
    Ok(program)
}
