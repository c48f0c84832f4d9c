//! One filter over one log: `blocker test` against fail2ban-regex and ripgrep.
//!
//! All three are whole commands on one core, with fail2ban's own `postfix[mode=aggressive]`. ripgrep counts the lines that the same
//! expressions match, put together to one for each failregex, without look-around and without naming anybody: as good as a general tool can do.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use blocker_filter_tests::postfix_log::PostfixLog;
use blocker_lab::command::output;
use serde_json::Value;

use crate::bench::{Bench, Ground};
use crate::fail2ban;
use crate::report::{Bound, Report, Table, Unit};
use crate::rounds;

const LINES: usize = 200_000;
const ROUNDS: usize = 5;
const FILTER: &str = "postfix[mode=aggressive]";

pub(crate) const BENCH: Bench = Bench {
    name: "filter",
    about: "fail2ban's own postfix[mode=aggressive] over a log of 200,000 lines, whole commands on one core",
    run,
};

fn run(ground: &Ground) -> Result<Report> {
    let folder = ground.folder.join("filter");
    fs::create_dir_all(&folder)?;
    let log = folder.join("mail.log");
    let mut mail = PostfixLog::of_the_last_hour(LINES);
    fs::write(&log, mail.write(LINES))?;
    let (_, config) = fail2ban::regex(ground)?;
    let ripgrep = ground.peers.unpack("ripgrep", &[])?;
    let patterns = folder.join("patterns");
    fs::write(&patterns, expressions(ground, &config)?)?;

    let test = || {
        let mut command = ground.agent();
        command.arg("test").arg(&log).arg(FILTER).arg("--config").arg(&config);
        command
    };
    let matched = Matched {
        ours: count(&said(&mut test())?, "matched")?,
        ripgrep: said(ripgrep.command("usr/bin/rg").arg("-cf").arg(&patterns).arg(&log))?
            .trim()
            .parse()?,
    };
    ensure!(
        matched.ours == mail.failures as u64 && matched.ripgrep >= matched.ours,
        "{} lines are failures; blocker finds {}, ripgrep {}",
        mail.failures,
        matched.ours,
        matched.ripgrep
    );
    let mut ours = || seconds(&mut test());
    let mut theirs = || seconds(fail2ban::regex(ground)?.0.arg(&log).arg(FILTER));
    let mut rg = || seconds(ripgrep.command("usr/bin/rg").arg("-cf").arg(&patterns).arg(&log));
    let samples = rounds::alternate(
        ROUNDS,
        &mut [
            ("fail2ban-regex", &mut theirs),
            ("ripgrep", &mut rg),
            ("blocker test", &mut ours),
        ],
    )?;
    let table = Table::against(
        &format!("{LINES} lines of Postfix, {} of them failures", mail.failures),
        Unit::Seconds,
        "blocker test",
        samples,
    );
    let mut report = Report::default();
    report.target(
        "times as fast as fail2ban-regex",
        table.ratio("fail2ban-regex"),
        Bound::AtLeast(30.0),
    );
    report.at_most(
        "times ripgrep's time",
        table.ratio_between("blocker test", "ripgrep"),
        3.0,
    );
    report.add(table);
    Ok(report)
}

struct Matched {
    ours: u64,
    ripgrep: u64,
}

/// What a command prints.
fn said(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(output(command)?.stdout)?)
}

/// Seconds that a command takes on the first core.
fn seconds(command: &mut Command) -> Result<f64> {
    let mut pinned = Command::new("taskset");
    pinned
        .args(["-c", "0"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            pinned.env(name, value);
        }
    }
    let begin = Instant::now();
    output(&mut pinned)?;
    Ok(begin.elapsed().as_secs_f64())
}

/// A figure of a report: `matched      50,000   25.0 %`.
fn count(report: &str, name: &str) -> Result<u64> {
    let line = report.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next());
    let figure = figure.map(|figure| figure.replace(|char: char| !char.is_ascii_digit(), ""));
    figure
        .and_then(|figure| figure.parse().ok())
        .with_context(|| format!("the report has no `{name}`:\n{report}"))
}

/// The filter's expressions for ripgrep, one a line: what comes first on each line, then what one failregex adds.
fn expressions(ground: &Ground, config: &Path) -> Result<String> {
    let mut list = ground.agent();
    list.arg("test")
        .arg("--list-regexes")
        .arg(FILTER)
        .arg("--config")
        .arg(config);
    let list: Value = serde_json::from_str(&said(&mut list)?)?;
    let expression = |value: &Value| plain(value["expression"].as_str().unwrap_or_default());
    let prefix = expression(&list["prefregex"]);
    let (before, after) = prefix.split_once("(?:.+)").context("the prefregex has no content")?;
    let failregexes = list["failregex"].as_array().context("there are no failregexes")?;
    let lines = failregexes.iter().map(|failregex| {
        let failregex = expression(failregex);
        // ripgrep sees the date too.
        let before = before.replacen('^', r"^\S+", 1);
        // A failregex that ends early leaves the rest of the line to anything.
        format!("{before}(?:{}.*){after}\n", failregex.trim_start_matches('^'))
    });
    Ok(lines.collect())
}

/// An expression without names and without look-around.
fn plain(expression: &str) -> String {
    let mut plain = String::new();
    let mut rest = expression;
    while let Some(at) = rest.find("(?") {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(end) = rest.strip_prefix("(?P<").and_then(|name| name.find('>')) {
            plain.push_str("(?:");
            rest = &rest["(?P<".len() + end + 1..];
        } else if rest.starts_with("(?:(?!") || rest.starts_with("(?:(?=") {
            rest = &rest[closing(rest)..];
        } else {
            plain.push_str("(?");
            rest = &rest[2..];
        }
    }
    plain + rest
}

/// Where the bracket closes that a text begins with.
fn closing(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' if depth == 1 => return at + 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_look_around_are_taken_out() {
        assert_eq!(
            plain(r"^(?P<a>x|\()(?:(?!y(?:z))) [A-Z](?i:b)$"),
            r"^(?:x|\() [A-Z](?i:b)$"
        );
    }

    #[test]
    fn a_reports_figure_is_read_with_its_separators() {
        assert_eq!(
            count("filter x\nmatched        50,000   25.0 %", "matched").unwrap(),
            50_000
        );
    }
}
