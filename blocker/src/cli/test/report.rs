//! The answers as a report, for people.

use std::fmt;
use std::time::Duration;

use super::super::figures::grouped;
use crate::config;
use crate::filter::trial::Tally;
use crate::filter::{Filter, Regex};
use crate::problem::{Problem, printable};

/// Signs of an expression or a line that are shown.
const WIDTH: usize = 110;
/// Hosts that are shown.
const HOSTS: usize = 5;

/// What a filter found in a log.
pub(super) struct Report<'a> {
    pub(super) log: &'a str,
    pub(super) filter_name: &'a str,
    pub(super) filter: &'a Filter,
    pub(super) tally: &'a Tally,
    /// Lines that were read only up to the longest length.
    pub(super) cut: u64,
    pub(super) warnings: Vec<Problem>,
    pub(super) taken: Duration,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            lines,
            matched,
            ignored,
            missed,
            undated,
            ..
        } = self.tally;
        let seconds = self.taken.as_secs_f64();
        writeln!(f, "filter    {}", printable(self.filter_name))?;
        let file = self.filter.file();
        if config::is_compiled_in(file) {
            writeln!(f, "from      the filters compiled in")?;
        } else {
            writeln!(f, "from      {}", printable(&file.display().to_string()))?;
        }
        writeln!(
            f,
            "log       {}: {} lines in {seconds:.2} s, {} a second",
            printable(self.log),
            grouped(*lines),
            grouped((*lines as f64 / seconds.max(1e-6)) as u64)
        )?;
        writeln!(f)?;
        let share = |count: u64| 100.0 * count as f64 / (*lines).max(1) as f64;
        for (name, count, meaning) in [
            ("matched", *matched, "a failregex found something"),
            ("ignored", *ignored, "an ignoreregex took it back"),
            ("missed", *missed, "nothing was found"),
        ] {
            writeln!(
                f,
                "{name:<9} {:>11}  {:>5.1} %  {meaning}",
                grouped(count),
                share(count)
            )?;
        }
        if *undated > 0 {
            writeln!(
                f,
                "undated   {:>11}  {:>5.1} %  no date was found, and no line shortly before had one",
                grouped(*undated),
                share(*undated)
            )?;
        }
        if self.cut > 0 {
            writeln!(
                f,
                "cut       {:>11}           longer than what is read of a line",
                grouped(self.cut)
            )?;
        }
        if self.tally.limit_hits > 0 {
            writeln!(
                f,
                "given up  {:>11}           searches that went back and forth too long",
                grouped(self.tally.limit_hits)
            )?;
        }
        expressions(f, "failregexes", self.filter.failregex(), &self.tally.failregex)?;
        expressions(f, "ignoreregexes", self.filter.ignoreregex(), &self.tally.ignoreregex)?;
        self.hosts(f)?;
        self.dates(f)?;
        if !self.tally.first_missed.is_empty() {
            writeln!(f, "\nfirst lines missed")?;
            for (n, line) in &self.tally.first_missed {
                writeln!(f, "{n:>11}  {}", shortened(line))?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "\nwarning: {}", printable(&warning.to_string()))?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn hosts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hosts: Vec<(&String, &u64)> = self.tally.hosts.iter().collect();
        if hosts.is_empty() {
            return Ok(());
        }
        hosts.sort_by(|(a, most), (b, count)| count.cmp(most).then(a.cmp(b)));
        let all = grouped(hosts.len() as u64);
        writeln!(f, "\nhosts with most failures, of {all}")?;
        for (host, count) in hosts.into_iter().take(HOSTS) {
            writeln!(f, "{:>11}  {}", grouped(*count), shortened(host))?;
        }
        Ok(())
    }

    fn dates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.tally.templates.iter().enumerate().filter(|(_, count)| **count > 0);
        for (n, (template, count)) in counts.enumerate() {
            if n == 0 {
                writeln!(f, "\ndates by template")?;
            }
            writeln!(
                f,
                "{:>11}  {}",
                grouped(*count),
                shortened(self.filter.dates().name(template))
            )?;
        }
        Ok(())
    }
}

fn expressions(f: &mut fmt::Formatter<'_>, title: &str, regexes: &[Regex], counts: &[u64]) -> fmt::Result {
    if regexes.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    for (n, (regex, count)) in regexes.iter().zip(counts).enumerate() {
        writeln!(f, "{:>11}  #{n:<3} {}", grouped(*count), shortened(&regex.text))?;
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    let text = printable(text.trim());
    if text.chars().count() <= WIDTH {
        return text;
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}
