//! Memory: the agent's own, release build, and what its bans take in the kernel; fail2ban's beside it.
//!
//! The agent's is `VmRSS`, a moment after it was ready. The kernel's is what it tells of each map: a hash takes its memory for
//! as many bans as it has room for, so that the figure is for a map that is full.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use blocker_common::map::Ban;
use blocker_tests::agent::Agent;
use blocker_tests::eventually_within;
use blocker_tests::four_jails::{fill, four_jails, settled};
use blocker_tests::relay::Relay;

use crate::bench::{Bench, Ground};
use crate::fail2ban::{Fail2ban, failures};
use crate::report::{Report, Table, Unit};
use crate::statistics::Samples;

pub(crate) const BENCH: Bench = Bench {
    name: "memory",
    about: "the agent's memory with four jails, idle, with bans and under a flood; the kernel's for the bans; fail2ban's",
    run,
};

const MANY: u32 = 50_000;
const MILLION: u32 = 1_000_000;
/// Hosts that fail once each, in a million lines.
const FLOOD: u32 = 1_000_000;
const CHUNK: u32 = 10_000;
/// Bans that fail2ban is given: they take it seconds.
const FEW: u32 = 500;
const PATIENCE: Duration = Duration::from_secs(300);
/// For the agent, in MiB.
const MOST_IDLE: f64 = 20.0;
const MOST_MANY: f64 = 40.0;
/// For the kernel, in bytes a ban.
const MOST_KERNEL: f64 = 100.0;

fn run(ground: &Ground) -> Result<Report> {
    let mut report = Report::default();
    let mut rows = Vec::new();
    let mut kernel = Vec::new();
    for firewall in ["xdp", "nftables"] {
        for (bans, most) in [(0, Some(MOST_IDLE)), (MANY, Some(MOST_MANY)), (MILLION, None)] {
            let relay = four_jails(2);
            if bans > 0 {
                fill(&relay, bans);
            }
            let agent = relay.start(firewall);
            let memory = Samples::once(settled(&agent) as f64 / 1024.0);
            if let Some(most) = most {
                let what = format!("{firewall}: MiB of the agent with four jails and {bans} bans");
                report.at_most(&what, Some(memory.figure()), most);
            }
            rows.push((format!("blocker, {firewall}, {bans} bans"), memory));
            if firewall == "xdp" && bans == MILLION {
                kernel.extend(of_kernel(&agent, bans)?);
            }
        }
    }
    kernel.extend(sized_to_fit()?);
    rows.push((
        format!("blocker, xdp, {FLOOD} hosts that failed once, the most"),
        flood(),
    ));
    let fail2ban = Fail2ban::start(ground)?;
    let idle = fail2ban.resident_kib()?;
    fail2ban.write(&failures(0..FEW))?;
    fail2ban.wait_for_bans(FEW as usize, PATIENCE)?;
    for (bans, kib) in [(0, idle), (FEW, fail2ban.resident_kib()?)] {
        rows.push((
            format!("fail2ban, one jail, {bans} bans"),
            Samples::once(kib as f64 / 1024.0),
        ));
    }
    report.add(Table::of("resident memory", Unit::Mebibytes, rows));
    let figure = kernel.last().map(|(_, samples)| samples.figure());
    report.at_most(
        "bytes of the kernel for a ban of an IPv4 host, where the maps are made to fit",
        figure,
        MOST_KERNEL,
    );
    report.add(Table::of("the kernel's memory, a ban", Unit::Bytes, kernel));
    Ok(report)
}

/// Maps for as many bans as there are.
fn sized_to_fit() -> Result<Vec<(String, Samples)>> {
    let relay = four_jails(2);
    fill(&relay, MANY);
    fs::write(
        relay.config().join("blocker.toml"),
        format!("[firewall]\nmax_addresses = {MANY}\n"),
    )?;
    let agent = relay.start("xdp");
    of_kernel(&agent, MANY)
}

/// The kernel's number of a hash, `BPF_MAP_TYPE_HASH`.
const HASH: u64 = 1;

/// What all maps take for each of so many bans, and what the map of IPv4 hosts does.
fn of_kernel(agent: &Agent, bans: u32) -> Result<Vec<(String, Samples)>> {
    let maps = maps(agent)?;
    let a_ban = |bytes: u64| Samples::once(bytes as f64 / f64::from(bans));
    let all = maps.iter().map(|map| map.memory).sum();
    // Its keys have four bytes; that of IPv6 networks has keys of eight.
    let is_theirs = |map: &&Map| (map.kind, map.key, map.value) == (HASH, 4, size_of::<Ban>() as u64);
    let hosts = maps.iter().find(is_theirs);
    let hosts = hosts.context("the agent has no map of IPv4 hosts")?;
    Ok(vec![
        (
            format!("all maps, {bans} bans of IPv4 hosts, room for {}", hosts.entries),
            a_ban(all),
        ),
        (
            format!("the map that holds them, {bans} bans, room for {}", hosts.entries),
            a_ban(hosts.memory),
        ),
    ])
}

/// A map as the kernel tells of it.
struct Map {
    id: u64,
    key: u64,
    value: u64,
    /// By the kernel's number.
    kind: u64,
    entries: u64,
    memory: u64,
}

/// The maps that a process holds.
fn maps(agent: &Agent) -> Result<Vec<Map>> {
    let folder = format!("/proc/{}/fdinfo", agent.id());
    let mut maps: Vec<Map> = Vec::new();
    for entry in fs::read_dir(&folder).context(folder)? {
        // A descriptor may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        if let Some(map) = map(&text)
            && maps.iter().all(|known| known.id != map.id)
        {
            maps.push(map);
        }
    }
    Ok(maps)
}

fn map(fdinfo: &str) -> Option<Map> {
    let field = |name: &str| {
        let mut lines = fdinfo.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(found, _)| *found == name)?;
        value.trim().parse::<u64>().ok()
    };
    Some(Map {
        id: field("map_id")?,
        key: field("key_size")?,
        value: field("value_size")?,
        kind: field("map_type")?,
        entries: field("max_entries")?,
        memory: field("memlock")?,
    })
}

/// The most that the agent takes while a million hosts fail once each, as fast as it reads.
fn flood() -> Samples {
    let relay = four_jails(5);
    let agent = relay.start("xdp");
    let mut most = 0;
    for chunk in 0..FLOOD / CHUNK {
        relay.write(&failures(chunk * CHUNK..(chunk + 1) * CHUNK));
        let written = u64::from((chunk + 1) * CHUNK);
        eventually_within(PATIENCE, "the agent reads on", || {
            read(&relay) + u64::from(CHUNK) >= written
        });
        most = most.max(agent.resident_kib());
    }
    eventually_within(PATIENCE, "all is read", || read(&relay) >= u64::from(FLOOD));
    most = most.max(agent.resident_kib());
    Samples::once(most as f64 / 1024.0)
}

fn read(relay: &Relay) -> u64 {
    relay.metric("blocker_failures_total{jail=\"abuse\"}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_as_the_kernel_tells_of_it() {
        let text = "pos:\t0\nmap_type:\t1\nkey_size:\t4\nvalue_size:\t40\nmax_entries:\t1000\nmap_flags:\t0x0\nmemlock:\t113472\nmap_id:\t7\n";
        let map = map(text).unwrap();
        assert_eq!(
            (map.id, map.key, map.value, map.entries, map.memory),
            (7, 4, 40, 1000, 113_472)
        );
        assert!(super::map("pos:\t0\n").is_none());
    }
}
