//! From a line that is appended to the log until its host is in the kernel's map: quiet, and while 50,000 other lines come a second.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{HashMap, Map, MapData};
use blocker_common::map::Ban;
use blocker_filter_tests::postfix_log::PostfixLog;
use blocker_tests::relay::Relay;
use jiff::Timestamp;

use crate::agent::{JAILS, NO_BRAKE, jails_of, start, until};
use crate::bench::{Bench, Ground};
use crate::fail2ban::{self, Fail2ban};
use crate::report::{Report, Table, Unit};
use crate::statistics::{Figure, Samples, within};

/// Lines whose hosts are waited for.
const PROBES: u32 = 1_000;
/// The same for fail2ban, which takes half a second for each.
const THEIR_PROBES: u32 = 20;
/// Other lines a second.
const LOAD: u32 = 50_000;
/// What a jail takes at the most: none of the other lines' hosts fails so often.
const MOST_RETRIES: u32 = 1_000;
/// They are written so often.
const TICK: Duration = Duration::from_millis(5);
/// Between two looks into fail2ban's log.
const LOOK: Duration = Duration::from_millis(1);
/// What a host is banned for at once.
const PROBE_FILTER: &str = "[Definition]\nfailregex = ^ \\S+ probe\\[\\d+\\]: from <HOST>$\n";

pub(crate) const BENCH: Bench = Bench {
    name: "latency",
    about: "from a line that is appended to the log until the kernel drops its host",
    run,
};

fn run(ground: &Ground) -> Result<Report> {
    let folder = ground.folder.join("latency");
    fs::create_dir_all(&folder)?;
    let log = folder.join("mail.log");
    let configuration = folder.join("config");
    fail2ban::configure(ground, &configuration, &jails(&log))?;
    fs::write(configuration.join("filter.d/probe.conf"), PROBE_FILTER)?;
    fs::write(configuration.join("blocker.toml"), NO_BRAKE)?;
    let theirs = theirs(ground)?;
    let (quiet, busy) = ours(&folder, &configuration, &log)?;
    ensure!(
        [&quiet, &busy].iter().all(|times| times.len() == PROBES as usize),
        "not every line's host was waited for"
    );
    let mut report = Report::default();
    let all = [
        ("blocker, quiet", &quiet),
        ("blocker, 50,000 lines/s beside", &busy),
        ("fail2ban, quiet", &theirs),
    ]
    .map(|(name, times)| (format!("{name}, {} hosts", times.len()), times));
    for (part, share) in [
        ("half of the hosts", 0.5),
        ("99 of 100 hosts", 0.99),
        ("all hosts", 1.0),
    ] {
        let rows = all.iter().map(|(name, times)| {
            let seconds = within(times, share).context("nobody was waited for")?;
            Ok((name.clone(), Samples::once(seconds * 1e3)))
        });
        report.add(Table::of(
            &format!("within which {part} were banned"),
            Unit::Milliseconds,
            rows.collect::<Result<_>>()?,
        ));
    }
    let milliseconds = |times: &[f64], share| within(times, share).map(|seconds| Figure::Is(seconds * 1e3));
    report.at_most("ms for half of the hosts, quiet", milliseconds(&quiet, 0.5), 1.0);
    report.at_most("ms for 99 of 100 hosts, quiet", milliseconds(&quiet, 0.99), 10.0);
    report.at_most(
        "ms for 99 of 100 hosts, 50,000 lines/s beside",
        milliseconds(&busy, 0.99),
        50.0,
    );
    Ok(report)
}

/// The jails that read the other lines ban nobody, so that only the probes do.
fn jails(log: &Path) -> String {
    jails_of(&JAILS, log, MOST_RETRIES) + &jails_of(&[("probe", "probe")], log, 1)
}

fn line(host: Ipv4Addr) -> String {
    format!(
        "{} relay probe[7]: from {host}\n",
        Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00")
    )
}

/// Seconds for each host, quiet and under load.
fn ours(folder: &Path, configuration: &Path, log: &Path) -> Result<(Vec<f64>, Vec<f64>)> {
    fs::write(log, "")?;
    let relay = Relay::new("3600");
    let state = folder.join("state");
    // What an earlier run has left.
    let _ = fs::remove_dir_all(&state);
    let mut agent = start(&relay, configuration, &state);
    let measured = relay.lab.relay().enter(|| -> Result<_> {
        let map = hosts()?;
        let mut file = OpenOptions::new().append(true).open(log)?;
        let quiet = probes(&mut file, &map, 0)?;
        let end = AtomicBool::new(false);
        let busy = thread::scope(|scope| {
            let load = scope.spawn(|| write_others(log, &end));
            let busy = probes(&mut file, &map, PROBES);
            end.store(true, Ordering::Relaxed);
            load.join()
                .map_err(|_| anyhow::anyhow!("the load's thread panicked"))??;
            busy
        })?;
        Ok((quiet, busy))
    })??;
    agent.stop();
    Ok(measured)
}

type Hosts = HashMap<MapData, [u8; 4], Ban>;

/// The map that the program looks hosts up in.
fn hosts() -> Result<Hosts> {
    let below = Path::new("/sys/fs/bpf/blocker");
    let folder = fs::read_dir(below)?.filter_map(|entry| Some(entry.ok()?.path()));
    let pins: Vec<PathBuf> = folder
        .map(|folder| folder.join("current/IPV4_HOSTS"))
        .filter(|pin| pin.exists())
        .collect();
    let pin = pins.first().context("the agent has pinned no map of hosts")?;
    let map = MapData::from_pin(pin).with_context(|| pin.display().to_string())?;
    Ok(HashMap::try_from(Map::HashMap(map))?)
}

/// Appends a line for each host and looks into the map until the host is there.
fn probes(log: &mut File, map: &Hosts, first: u32) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for number in first..first + PROBES {
        let host = Ipv4Addr::from(0xC613_0000 + number);
        let line = line(host);
        let begin = Instant::now();
        log.write_all(line.as_bytes())?;
        while map.get(&host.octets(), 0).is_err() {
            ensure!(
                begin.elapsed() < Duration::from_secs(10),
                "{host} was not banned within 10 s"
            );
            thread::yield_now();
        }
        times.push(begin.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// Writes other lines, so many a second, until it is told to end.
fn write_others(log: &Path, end: &AtomicBool) -> Result<()> {
    let mut file = OpenOptions::new().append(true).open(log)?;
    let mut mail = PostfixLog::of_the_last_hour(200_000);
    let lines = LOAD / (1000 / TICK.as_millis() as u32);
    let mut next = Instant::now();
    while !end.load(Ordering::Relaxed) {
        file.write_all(mail.write(lines as usize).as_bytes())?;
        next += TICK;
        thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Seconds for each host until fail2ban says that it bans it; what its action takes comes on top.
fn theirs(ground: &Ground) -> Result<Vec<f64>> {
    let mut log = PathBuf::new();
    let mut fail2ban = Fail2ban::with(ground, |config, mail_log| {
        log = mail_log.to_owned();
        fs::write(config.join("filter.d/probe.conf"), PROBE_FILTER)?;
        Ok(jails(mail_log))
    })?;
    until(LOOK, || Ok(fail2ban.said("started")? > JAILS.len()))?;
    let mut file = OpenOptions::new().append(true).open(log)?;
    let mut times = Vec::new();
    for number in 0..THEIR_PROBES {
        let host = Ipv4Addr::from(0xC613_0000 + number);
        let line = line(host);
        let begin = Instant::now();
        file.write_all(line.as_bytes())?;
        until(LOOK, || Ok(fail2ban.said(&format!("Ban {host}"))? > 0))?;
        times.push(begin.elapsed().as_secs_f64());
    }
    Ok(times)
}
