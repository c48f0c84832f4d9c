//! `blocker-bench`: blocker against its peers, and against the targets that it has set itself, on one machine and in one run.
//!
//! Machines are noisy, and most are shared. So ours and theirs are measured in turn, round by round, and the figure is the ratio
//! between them; a ratio whose rounds do not agree with each other is not printed ([`statistics`]). Peers come from Debian's
//! packages, unpacked below `target/bench/peers` ([`peers`]): nothing is installed.
//!
//! The tables go to the terminal, to `docs/benchmarks.md` ([`document`]) and, as JSON, to `target/bench/`.
//!
//! # To add a bench
//!
//! One new file, `src/NAME.rs`, and one line in [`BENCHES`]. The file holds
//!
//! ```text
//! //! What is compared, and how.
//! pub(crate) const BENCH: Bench = Bench { name: "NAME", about: "one line for the list and the document", run };
//!
//! fn run(ground: &Ground) -> Result<Report> {
//!     let peer = ground.peers.unpack("ripgrep", &[])?;                       // its program: peer.command("usr/bin/rg")
//!     let mut ours = || seconds(&ground.agent(), ..);
//!     let mut theirs = || seconds(&mut peer.command("usr/bin/rg"), ..);
//!     let samples = rounds::alternate(9, &mut [("ripgrep", &mut theirs), ("blocker", &mut ours)])?;
//!     let table = Table::against("a log of a million lines", Unit::Seconds, "ripgrep", samples);
//!     let mut report = Report::default();
//!     report.at_most("blocker's time against ripgrep's", table.ratio("blocker"), 1.0);
//!     report.add(table);
//!     Ok(report)
//! }
//! ```
//!
//! A bench that needs hosts in network namespaces makes them with `blocker_lab` and `blocker_tests`, as the tests do; whatever
//! becomes of the process, [`supervise`] takes them away.

mod agent;
mod ban;
mod bench;
mod document;
mod fail2ban;
mod filter;
mod kernel;
mod latency;
mod machine;
mod memory;
mod packet;
mod peers;
mod relay;
mod report;
mod rounds;
mod said;
mod stack;
mod statistics;
mod supervise;
mod table;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use crate::bench::{Bench, Ground};

/// Every bench, in the order in which they run.
const BENCHES: &[Bench] = &[
    filter::BENCH,
    agent::BENCH,
    latency::BENCH,
    ban::BENCH,
    packet::BENCH,
    stack::BENCH,
    memory::BENCH,
    relay::BENCH,
];

/// blocker against its peers, on this machine.
#[derive(Debug, Parser)]
#[command(name = "blocker-bench")]
struct Arguments {
    /// Run only this comparison
    name: Option<String>,

    /// Print one JSON object on standard output at the end, and everything else on standard error
    #[arg(long)]
    json: bool,

    /// See whether it works: two rounds of everything, and nothing is written
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if supervise::is_worker() {
        run(&arguments)
    } else {
        supervise::run()
    };
    done.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs what was asked for. A target that is missed is no failure, a bench that cannot be run is one.
fn run(arguments: &Arguments) -> Result<ExitCode> {
    let chosen = chosen(arguments.name.as_deref())?;
    let ground = Ground::new(arguments.quick)?;
    let machine = machine::describe();
    let mut outcomes = Vec::new();
    let mut failures = 0;
    for bench in chosen {
        eprintln!("bench: {}: {}", bench.name, bench.about);
        match bench.run(&ground) {
            Ok(outcome) => {
                let text = table::text(&outcome.report);
                if arguments.json {
                    eprint!("{text}");
                } else {
                    print!("{text}");
                }
                if !arguments.quick {
                    outcome.save(&ground.folder, &machine)?;
                    document::write(&outcome, &machine)?;
                }
                outcomes.push(outcome);
            }
            Err(error) => {
                eprintln!("bench: {} cannot be run: {error:#}", bench.name);
                failures += 1;
            }
        }
    }
    let object = match outcomes.as_slice() {
        [] if arguments.name.is_some() => return Ok(ExitCode::FAILURE),
        [only] if arguments.name.is_some() => only.json(&machine),
        all => {
            let object = report::all(all, &machine);
            if !arguments.quick {
                report::save(&ground.folder, "all", &object)?;
            }
            object
        }
    };
    if arguments.json {
        println!("{object}");
    }
    Ok(if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Bench>> {
    let Some(name) = name else {
        return Ok(BENCHES.iter().collect());
    };
    if let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) {
        return Ok(vec![bench]);
    }
    let list: Vec<String> = BENCHES
        .iter()
        .map(|bench| format!("    {:8}  {}", bench.name, bench.about))
        .collect();
    bail!("there is no bench `{name}`; there are:\n{}", list.join("\n"))
}
