//! The running agent over a log that is written all at once: four jails, and one of them alone, against the fail2ban daemon with the
//! same four.
//!
//! Both read fail2ban's own filters, and write what they have to say into a file. Measured is from the write until all lines are judged:
//! until fail2ban has told of every failure, and the agent of the ban of a host whose failures are the last lines.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use blocker_filter_tests::postfix_log::PostfixLog;
use blocker_lab::command::output;
use blocker_tests::agent::{Agent, program};
use blocker_tests::relay::Relay;

use crate::bench::{Bench, Ground};
use crate::fail2ban::{self, Fail2ban};
use crate::report::{Bound, Report, Table, Unit};
use crate::rounds;
use crate::said::Said;

const LINES: usize = 200_000;
/// fail2ban's are of the same kind and fewer, since they take it minutes; what counts is the time a line.
const THEIR_LINES: usize = 50_000;
const ROUNDS: usize = 3;
/// Between two looks how far the agent has come, which takes half a second.
const LOOK: Duration = Duration::from_millis(5);
/// And how far fail2ban has, which takes eleven.
const THEIR_LOOK: Duration = Duration::from_millis(50);
/// Failures that make a ban.
const MAX_RETRY: u32 = 5;
/// The host whose failures are the last lines of the log, by its number.
const LAST: u32 = 7;
const DEADLINE: Duration = Duration::from_secs(120);
/// Bans that come by the thousand a minute are what is measured.
pub(crate) const NO_BRAKE: &str = "[brake]\nmax_bans_per_minute = 1000000\nmax_share = 1.0\n";
/// The jails and the filters that they have.
pub(crate) const JAILS: [(&str, &str); 4] = [
    ("postfix", "postfix[mode=aggressive]"),
    ("postfix-rbl", "postfix[mode=rbl]"),
    ("postfix-sasl", "postfix[mode=auth]"),
    ("dovecot", "dovecot[mode=aggressive]"),
];

pub(crate) const BENCH: Bench = Bench {
    name: "agent",
    about: "the running agent over a log of 200,000 lines that is written at once, with four mail jails; fail2ban's over 50,000",
    run,
};

fn run(ground: &Ground) -> Result<Report> {
    let folder = ground.folder.join("agent");
    fs::create_dir_all(&folder)?;
    let mut mail = PostfixLog::of_the_last_hour(LINES);
    let text = mail.write(LINES) + &fail2ban::failures(LAST..LAST + 1).repeat(MAX_RETRY as usize);
    let one = mail.failures;
    let four = mail.failures + mail.guesses + mail.blocked;

    let relay = Relay::new("3600");
    let stage = |name: &str, jails: &[(&str, &str)], failures: usize| -> Result<Stage<'_>> {
        let stage = Stage {
            folder: folder.join(name),
            text: &text,
            failures,
        };
        fs::create_dir_all(&stage.folder)?;
        fail2ban::configure(
            ground,
            &stage.configuration(),
            &jails_of(jails, &stage.log(), MAX_RETRY),
        )?;
        // The brake has no part in this: fail2ban has none.
        fs::write(stage.configuration().join("blocker.toml"), NO_BRAKE)?;
        Ok(stage)
    };
    let of_one = stage("one-jail", &JAILS[..1], one)?;
    let of_four = stage("four-jails", &JAILS, four)?;
    let mut ours = || of_four.ours(&relay);
    let mut alone = || of_one.ours(&relay);
    let mut their_mail = PostfixLog::of_the_last_hour(THEIR_LINES);
    let their_text = their_mail.write(THEIR_LINES);
    let their_failures = their_mail.failures + their_mail.guesses + their_mail.blocked;
    let mut theirs = || theirs(ground, &their_text, their_failures);
    let row = |who: &str, lines: usize, failures: usize| format!("{who}, of {lines} lines with {failures} failures");
    let fail2ban_four = row("fail2ban, four jails", THEIR_LINES, their_failures);
    let blocker_one = row("blocker, one jail", LINES, one);
    let blocker_four = row("blocker, four jails", LINES, four);
    let samples = rounds::alternate(
        ROUNDS,
        &mut [
            (&fail2ban_four, &mut theirs),
            (&blocker_one, &mut alone),
            (&blocker_four, &mut ours),
        ],
    )?;
    let table = Table::against("a line of Postfix", Unit::Microseconds, &blocker_four, samples);
    let mut report = Report::default();
    report.target(
        "times as fast as fail2ban",
        table.ratio(&fail2ban_four),
        Bound::AtLeast(100.0),
    );
    report.at_most(
        "times the cost of one jail with four",
        table.ratio_between(&blocker_four, &blocker_one),
        1.3,
    );
    report.add(table);
    Ok(report)
}

/// What both programs are told of jails: their actions do nothing.
pub(crate) fn jails_of(jails: &[(&str, &str)], log: &Path, max_retry: u32) -> String {
    let jail = |(name, filter): &(&str, &str)| {
        format!(
            "[{name}]\nenabled = true\nfilter = {filter}\nlogpath = {}\nport = smtp\naction =\nfindtime = 1d\nbantime = 1h\n\
             maxretry = {max_retry}\n\n",
            log.display()
        )
    };
    jails.iter().map(jail).collect()
}

/// What the agent reads.
struct Stage<'a> {
    folder: PathBuf,
    text: &'a str,
    /// In all jails together.
    failures: usize,
}

impl Stage<'_> {
    fn configuration(&self) -> PathBuf {
        self.folder.join("config")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("mail.log")
    }

    /// Microseconds that the agent takes for a line.
    fn ours(&self, relay: &Relay) -> Result<f64> {
        fs::write(self.log(), "")?;
        let state = self.folder.join("state");
        // What the round before has left.
        let _ = fs::remove_dir_all(&state);
        let said = self.folder.join("agent.log");
        let mut command = relay.lab.relay().command("sh");
        command.args(["-c", "exec \"$@\" 2> \"$0\""]).arg(&said).arg(program());
        fs::write(&said, "")?;
        let mut agent = Agent::start(told(command, &self.configuration(), &state));
        let mut said = Said::new(said);
        until(LOOK, || Ok(said.count(" ready ")? > 0))?;
        let last = format!(" address={} ", Ipv4Addr::from_bits(fail2ban::HOSTS + LAST));
        let begin = Instant::now();
        append(&self.log(), self.text)?;
        // The end alone: to look through all of it takes a part of the time that is measured.
        until(LOOK, || {
            Ok(said.lines()?.rev().take(3).any(|line| line.contains(&last)))
        })?;
        let taken = begin.elapsed();
        // Each by itself, so that nothing was left out.
        until(LOOK, || {
            let metrics = relay.metrics();
            Ok(
                sum(&metrics, "blocker_log_lines_total") == (LINES + MAX_RETRY as usize) as u64
                    && sum(&metrics, "blocker_failures_total") == (self.failures + MAX_RETRY as usize) as u64,
            )
        })?;
        agent.stop();
        let mut clear = relay.lab.relay().command(program());
        output(clear.args(["stop", "--clear", "--state"]).arg(&state))?;
        Ok(taken.as_secs_f64() * 1e6 / LINES as f64)
    }
}

/// Starts the agent on the relay.
pub(crate) fn start(relay: &Relay, configuration: &Path, state: &Path) -> Agent {
    let mut agent = Agent::start(told(relay.lab.relay().command(program()), configuration, state));
    agent.says(&[" ready "]);
    agent
}

/// What the agent is told.
fn told(mut command: Command, configuration: &Path, state: &Path) -> Command {
    command.args(["run", "--interface", "eth0", "--firewall", "xdp"]);
    command.arg("--config").arg(configuration).arg("--state").arg(state);
    command
}

/// Microseconds that fail2ban takes for a line.
fn theirs(ground: &Ground, text: &str, failures: usize) -> Result<f64> {
    let mut log = PathBuf::new();
    let mut fail2ban = Fail2ban::with(ground, |_, mail_log| {
        log = mail_log.to_owned();
        Ok(jails_of(&JAILS, mail_log, MAX_RETRY))
    })?;
    until(THEIR_LOOK, || Ok(fail2ban.said("started")? >= JAILS.len()))?;
    let begin = Instant::now();
    append(&log, text)?;
    until(THEIR_LOOK, || Ok(fail2ban.said("] Found ")? >= failures))?;
    Ok(begin.elapsed().as_secs_f64() * 1e6 / THEIR_LINES as f64)
}

/// Adds to a log.
fn append(log: &Path, text: &str) -> Result<()> {
    let mut log = OpenOptions::new().append(true).open(log)?;
    Ok(log.write_all(text.as_bytes())?)
}

/// Waits for a condition.
pub(crate) fn until(look: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while !condition()? {
        if Instant::now() > deadline {
            bail!("it has not come to it within {DEADLINE:?}");
        }
        std::thread::park_timeout(look);
    }
    Ok(())
}

/// All samples of a metric together.
fn sum(metrics: &str, name: &str) -> u64 {
    let samples = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let values = samples.filter_map(|sample| sample.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum::<f64>() as u64
}
