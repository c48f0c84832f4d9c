//! `blocker test`: what a filter finds in a log.

mod json;
mod report;

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{progress, written};
use crate::config::{self, Folder};
use crate::filter::definition::{Definition, LogType, Partial};
use crate::filter::layers::Disk;
use crate::filter::matcher::Search;
use crate::filter::parameters::Named;
use crate::filter::trial::{Clock, Trial};
use crate::filter::{Filter, date, hijack};
use crate::problem::{Place, Problem, Problems};
use crate::source::stored::{Lines, StoredLog};
use crate::source::text;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Log file, also compressed with gzip, or `-` for standard input; may be left out with --list-regexes
    #[arg(value_name = "LOG")]
    log: String,
    /// Filter by name with parameters, as `postfix[mode=aggressive]`; a path; or a regular expression
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Folder whose filter.d is looked into [default: /etc/blocker, then the compiled-in filters]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Print one JSON object a line of the log
    #[arg(long)]
    json: bool,
    /// Print the expressions as they are run, as JSON, and read no log
    #[arg(long)]
    list_regexes: bool,
    /// Time zone of dates that name none, as Europe/Berlin, UTC+0200 or by POSIX's rules [default: the machine's]
    #[arg(long, value_name = "TZ")]
    tz: Option<String>,
    /// Seconds since 1970 that count as now for dates without a year [default: now]
    #[arg(long, value_name = "EPOCH")]
    now: Option<String>,
    /// Show hosts' names as they stand in the log instead of looking them up
    #[arg(long)]
    raw_host: bool,
    /// Try every failregex, and not only up to the first that matches
    #[arg(long)]
    all_regex: bool,
}

pub(super) fn test(arguments: &Arguments) -> Result<ExitCode> {
    let (log, name) = match (&arguments.filter, arguments.list_regexes) {
        (Some(filter), _) => (Some(arguments.log.as_str()), filter.as_str()),
        (None, true) => (None, arguments.log.as_str()),
        (None, false) => bail!("name a filter behind the log: `blocker test {} postfix`", arguments.log),
    };
    let read = definition(arguments, name)?;
    let unused = read.definition.as_ref().map(|definition| unused(definition, name));
    let unused = unused.unwrap_or_default();
    let is_journal = read.definition.as_ref().is_some_and(|definition| definition.is_journal);
    let filter = Arc::new(Filter::compile_partial(read)?);
    if arguments.json || arguments.list_regexes {
        // What is printed is for programs.
        for warning in &unused {
            tracing::warn!("{warning}");
        }
    }
    if arguments.list_regexes {
        let mut out = io::stdout().lock();
        return written(writeln!(out, "{}", json::regexes(&filter)));
    }
    let log = log.unwrap_or("-");
    let search = if arguments.all_regex {
        Search::All
    } else {
        Search::First
    };
    let mut trial = Trial::new(&filter, search, clock(arguments, is_journal)?);
    let begun = Instant::now();
    let (mut lines, progress) = open(log)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut answers = json::Answers::new(&filter, arguments.raw_host);
    let read = each_line(&mut lines, |line| {
        let answer = trial.line(line);
        if arguments.json {
            answers.write(&answer, &mut out)
        } else {
            Ok(())
        }
    });
    progress.finish_and_clear();
    match read {
        Ok(()) => {}
        Err(Stopped::Read(error)) => return Err(error).with_context(|| log.to_owned()),
        Err(Stopped::Write(error)) => return written(Err(error)),
    }
    if !arguments.json {
        let report = report::Report {
            log,
            filter_name: name,
            filter: &filter,
            tally: trial.tally(),
            cut: lines.cut,
            warnings: unused.into_iter().chain(hijack::warnings(&filter)).collect(),
            taken: begun.elapsed(),
        };
        return written(write!(out, "{report}").and_then(|()| out.flush()));
    }
    written(out.flush())
}

/// Finds the filter that was meant.
fn definition(arguments: &Arguments, text: &str) -> Result<Partial> {
    let folder = arguments.config.as_deref().map_or(Folder::Default, Folder::Given);
    folder.check().map_err(Problems::from)?;
    let named = Named::parse(text);
    if let Err(what) = &named
        && let Some((name, _)) = text.split_once('[')
        && is_meant(folder, name.trim(), text)
    {
        bail!("{what}");
    }
    if let Some(named) = named.ok().filter(|named| is_name(&named.name)) {
        let path = Path::new(&named.name);
        return Ok(if named.name.contains('/') {
            if !path.is_file() {
                bail!("{}: there is no such filter file", path.display());
            }
            Definition::read(&Disk, &[path.to_owned()], &named.parameters, LogType::File)
        } else if path.extension().is_some() && path.is_file() {
            Definition::read(&Disk, &[Path::new(".").join(path)], &named.parameters, LogType::File)
        } else {
            config::filter(folder, &named)
        });
    }
    Ok(Definition::of_regex(text).into())
}

/// Whether a text that cannot be read as a filter with parameters was meant to be one: it begins with a filter's name, and is not a
/// regular expression that could find anything, for it lacks the tag of a host or closes no bracket.
fn is_meant(folder: Folder<'_>, name: &str, text: &str) -> bool {
    let is_filter = is_name(name) && (Path::new(name).is_file() || config::has_filter(folder, name));
    is_filter && !(text.contains('<') && text.contains(']'))
}

/// The parameters that were given in vain.
fn unused(definition: &Definition, text: &str) -> Vec<Problem> {
    let unused = definition.unused.iter().map(|unused| Problem {
        place: Place::file(Path::new(text)),
        what: unused.what(&definition.file.file_stem().unwrap_or_default().to_string_lossy()),
        hint: unused.hint.clone(),
    });
    unused.collect()
}

/// Whether a text is the name or path of a filter, and no regular expression.
fn is_name(text: &str) -> bool {
    let plain = |char: char| char.is_alphanumeric() || "-_./".contains(char);
    !text.is_empty() && (text.chars().all(plain) || Path::new(text).is_file())
}

fn clock(arguments: &Arguments, is_journal: bool) -> Result<Clock> {
    let now = match &arguments.now {
        Some(text) => epoch(text).with_context(|| format!("--now {text}: no number of seconds since 1970"))?,
        None => Timestamp::now(),
    };
    if is_journal {
        return Ok(Clock::Fixed(now));
    }
    let zone = match &arguments.tz {
        Some(text) => date::parse_zone(text).map_err(|what| anyhow::anyhow!("--tz: {what}"))?,
        None => TimeZone::system(),
    };
    Ok(Clock::Dates { zone, now })
}

fn epoch(text: &str) -> Option<Timestamp> {
    let seconds: f64 = text.parse().ok()?;
    let duration = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(duration).ok()
}

/// Opens the log, with a bar that shows how far it is read where that takes a while.
fn open(log: &str) -> Result<(Lines, ProgressBar)> {
    let stored = StoredLog::new(Path::new(log)).with_context(|| format!("{log}: the log cannot be opened"))?;
    let progress = progress::bar(stored.len);
    let lines = stored.open(|input| Box::new(progress.wrap_read(input)));
    let lines = lines.with_context(|| format!("{log}: the log cannot be opened"))?;
    Ok((lines, progress))
}

/// What ended the reading early.
enum Stopped {
    Read(io::Error),
    Write(io::Error),
}

/// Hands every line to `each`, without its break and up to the longest length, as the agent reads it.
fn each_line(lines: &mut Lines, mut each: impl FnMut(&str) -> io::Result<()>) -> Result<(), Stopped> {
    let mut line = Vec::new();
    while lines.next(&mut line).map_err(Stopped::Read)? {
        while line.last() == Some(&b'\r') {
            line.pop();
        }
        each(&text(&line)).map_err(Stopped::Write)?;
    }
    Ok(())
}
