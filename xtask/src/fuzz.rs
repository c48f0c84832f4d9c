//! `cargo xtask fuzz`: random input for the parts that read what others wrote, until one of them fails or the time is up.
//!
//! The targets are those of `fuzz/`. They are built by the pinned compiler, which needs no sanitizer for it: our own code is safe
//! Rust. What was learnt stays in `fuzz/corpus`, what made a target fail in `fuzz/artifacts`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::setup::cargo_tool::{self, Features, Speed};
use crate::{setup, workspace};

/// The version of cargo-fuzz that is installed where there is none.
const VERSION: &str = "0.13.2";
/// Seconds that one input may take; more is as bad as a panic.
const TIMEOUT: u32 = 10;
/// Log lines that go into one seed: small inputs are tried faster.
const LINES_A_SEED: usize = 6;

/// What was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to fuzz; without it, everything in turn
    #[arg(value_enum)]
    target: Option<Target>,

    /// How long to fuzz each target
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

/// The targets.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    /// Files of settings, with includes, interpolation and substitution
    Ini,
    /// A failregex, compiled and at work
    Failregex,
    /// A date pattern over a log
    Date,
    /// Log lines through every compiled-in filter
    Line,
    /// Frames through the packet parser
    Packet,
    /// Entries of the journal, as journalctl writes them
    Journal,
    /// The text of SPF records
    Spf,
    /// Requests on the control socket
    Control,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Ini => "ini",
            Self::Failregex => "failregex",
            Self::Date => "date",
            Self::Line => "line",
            Self::Packet => "packet",
            Self::Journal => "journal",
            Self::Spf => "spf",
            Self::Control => "control",
        }
    }

    /// Longest input that is tried: longer ones are slow and find nothing else.
    const fn max_len(self) -> usize {
        match self {
            Self::Failregex => 512,
            Self::Date | Self::Packet | Self::Journal | Self::Spf | Self::Control => 1024,
            Self::Line => 2048,
            Self::Ini => 4096,
        }
    }
}

/// Fuzzes what was asked for. A target that fails does not keep the others from their turn.
pub(crate) fn fuzz(arguments: &Arguments) -> Result<()> {
    setup::setup()?;
    setup::for_fuzzing()?;
    let workspace = workspace()?;
    let tools = workspace.join("target/tools");
    let tool = cargo_tool::install(&tools, ("cargo-fuzz", VERSION), Features::Default, Speed::Least)?;
    let targets = match &arguments.target {
        Some(target) => std::slice::from_ref(target),
        None => Target::value_variants(),
    };
    let mut failures = Vec::new();
    for target in targets {
        say(&format!("{} for {} s", target.name(), arguments.seconds));
        failures.extend(run(&workspace, &tool, *target, arguments.seconds)?);
    }
    if failures.is_empty() {
        return Ok(());
    }
    bail!("{}", failures.join("\n"))
}

/// Fuzzes one target, and says how it failed, if it did.
fn run(workspace: &Path, tool: &Path, target: Target, seconds: u64) -> Result<Option<String>> {
    let name = target.name();
    let fuzz = workspace.join("fuzz");
    let corpus = fuzz.join("corpus").join(name);
    fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
    let begun = SystemTime::now();
    let mut command = Command::new(tool);
    command
        .current_dir(workspace)
        .args(["run", "--sanitizer", "none", name])
        .arg(&corpus)
        .args(seeds(workspace, target)?)
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={}", target.max_len()))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg("-print_final_stats=1");
    let dictionary = fuzz.join("dictionaries").join(format!("{name}.dict"));
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let status = command.status().with_context(|| tool.display().to_string())?;
    if status.success() {
        return Ok(None);
    }
    let Some(input) = newest(&fuzz.join("artifacts").join(name), begun) else {
        bail!("the target `{name}` could not be built or run; cargo's words are above");
    };
    let input = input.strip_prefix(workspace).unwrap_or(&input).display();
    let tool = tool.strip_prefix(workspace).unwrap_or(tool).display();
    Ok(Some(format!(
        "the target `{name}` fails on {input}; to see it again, and to make the input smaller:\n\n    \
         {tool} run --sanitizer none {name} {input}\n    {tool} tmin --sanitizer none {name} {input}\n"
    )))
}

/// The latest input that made a target fail since it was started. One that was merely slow is not meant.
fn newest(folder: &Path, since: SystemTime) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let slow = entry.file_name().to_string_lossy().starts_with("slow-unit-");
        let modified = entry.metadata().ok()?.modified().ok()?;
        // A file system's clock may be coarser than ours.
        (!slow && modified + std::time::Duration::from_secs(1) >= since).then(|| (modified, entry.path()))
    });
    files.max().map(|(_, path)| path)
}

/// Folders of inputs to begin with.
fn seeds(workspace: &Path, target: Target) -> Result<Vec<PathBuf>> {
    let folder = match target {
        Target::Ini => workspace.join("blocker/src/config/builtin"),
        Target::Line => lines_of_corpus(workspace)?,
        Target::Failregex | Target::Date | Target::Packet | Target::Journal | Target::Spf | Target::Control => {
            workspace.join("fuzz/seeds").join(target.name())
        }
    };
    Ok(Some(folder).filter(|folder| folder.exists()).into_iter().collect())
}

/// Cuts the tests' corpus of log lines into small files.
fn lines_of_corpus(workspace: &Path) -> Result<PathBuf> {
    let seeds = workspace.join("target/fuzz-seeds/line");
    fs::create_dir_all(&seeds).with_context(|| seeds.display().to_string())?;
    for kind in ["genuine", "spoofed"] {
        let Ok(files) = fs::read_dir(workspace.join("tests/corpus").join(kind)) else {
            continue;
        };
        for file in files {
            let file = file.context("tests/corpus")?.path();
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            // Before the tab stands what the tests expect.
            let lines: Vec<&str> = lines
                .map(|line| line.split_once('\t').map_or(line, |(_, line)| line))
                .collect();
            for (n, lines) in lines.chunks(LINES_A_SEED).enumerate() {
                let seed = seeds.join(format!("{kind}-{stem}-{n}"));
                fs::write(&seed, lines.join("\n")).with_context(|| seed.display().to_string())?;
            }
        }
    }
    Ok(seeds)
}

fn say(what: &str) {
    eprintln!("fuzz: {what}");
}
