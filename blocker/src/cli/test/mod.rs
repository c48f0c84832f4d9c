//! `blocker test`: what a filter finds in a log.

mod json;
mod report;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::written;
use crate::config::{self, Folder};
use crate::filter::definition::{Definition, LogType, Partial};
use crate::filter::layers::Disk;
use crate::filter::matcher::Search;
use crate::filter::parameters::Named;
use crate::filter::trial::{Clock, Trial};
use crate::filter::{Filter, date, hijack};
use crate::problem::{Place, Problem, Problems};
use crate::source::tail::MAX_LINE;

/// Bytes of a log below which its reading shows no progress: it is over at once.
const LONG: u64 = 16 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Log file, or `-` for standard input; may be left out with --list-regexes
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
    let (input, progress) = open(log)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut answers = json::Answers::new(&filter, arguments.raw_host);
    let read = each_line(input, |line| {
        let answer = trial.line(line);
        if arguments.json {
            answers.write(&answer, &mut out)
        } else {
            Ok(())
        }
    });
    progress.finish_and_clear();
    let lines = match read {
        Ok(lines) => lines,
        Err(Stopped::Read(error)) => return Err(error).with_context(|| log.to_owned()),
        Err(Stopped::Write(error)) => return written(Err(error)),
    };
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
fn open(log: &str) -> Result<(Box<dyn BufRead>, ProgressBar)> {
    if log == "-" {
        return Ok((Box::new(BufReader::new(io::stdin())), ProgressBar::hidden()));
    }
    let file = File::open(log).with_context(|| format!("{log}: the log cannot be opened"))?;
    let metadata = file.metadata().with_context(|| log.to_owned())?;
    if metadata.is_dir() {
        bail!("{log}: is a folder; name a log file in it");
    }
    let progress = if metadata.len() < LONG {
        ProgressBar::hidden()
    } else {
        let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {eta} left");
        ProgressBar::new(metadata.len()).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    };
    let reader = BufReader::with_capacity(256 * 1024, progress.wrap_read(file));
    Ok((Box::new(reader), progress))
}

/// What reading brought.
#[derive(Default)]
struct LinesRead {
    /// Lines that were longer than what is read of one.
    cut: u64,
}

/// What ended the reading early.
enum Stopped {
    Read(io::Error),
    Write(io::Error),
}

/// Hands every line to `each`, without its break and up to the longest length, as the agent reads it.
fn each_line(mut input: Box<dyn BufRead>, mut each: impl FnMut(&str) -> io::Result<()>) -> Result<LinesRead, Stopped> {
    let mut lines = LinesRead::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = input
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(Stopped::Read)?;
        if read == 0 {
            return Ok(lines);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > MAX_LINE {
            line.truncate(MAX_LINE);
            lines.cut += 1;
            input.skip_until(b'\n').map_err(Stopped::Read)?;
        }
        while line.last() == Some(&b'\r') {
            line.pop();
        }
        each(&String::from_utf8_lossy(&line)).map_err(Stopped::Write)?;
    }
}
