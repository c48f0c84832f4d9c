//! A bench, and what it is run with.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::peers::Peers;
use crate::report::{Outcome, Report};

/// Rounds of a quick run.
const QUICK: usize = 2;

/// One comparison.
#[derive(Debug)]
pub(crate) struct Bench {
    /// What it is called by.
    pub(crate) name: &'static str,
    /// What it compares, in one line.
    pub(crate) about: &'static str,
    /// Compares.
    pub(crate) run: fn(&Ground) -> Result<Report>,
}

/// What every bench has at hand.
#[derive(Debug)]
pub(crate) struct Ground {
    /// `target/bench`: for results, and for what a bench wants to keep for its next run.
    pub(crate) folder: PathBuf,
    /// The peers' programs.
    pub(crate) peers: Peers,
    is_quick: bool,
}

impl Ground {
    /// Makes the folder. In a quick run there are few rounds of everything.
    pub(crate) fn new(is_quick: bool) -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "network namespaces and programs for the kernel need root: run `cargo xtask bench`"
        );
        let folder = workspace().join("target/bench");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let peers = Peers::new(&folder.join("peers"));
        Ok(Self {
            folder,
            peers,
            is_quick,
        })
    }

    /// How many rounds there are to be, where a bench wants so many.
    pub(crate) const fn rounds(&self, wanted: usize) -> usize {
        if self.is_quick && wanted > QUICK { QUICK } else { wanted }
    }

    /// Whether it is only to be seen that it works.
    pub(crate) const fn is_quick(&self) -> bool {
        self.is_quick
    }

    /// The agent that was built together with the bench: `target/release/blocker`.
    pub(crate) fn agent(&self) -> Command {
        Command::new(blocker_tests::agent::program())
    }
}

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

impl Bench {
    /// Runs it. What a bench shares with the tests fails by panicking; the others are run all the same.
    pub(crate) fn run(&self, ground: &Ground) -> Result<Outcome> {
        let begin = Instant::now();
        ground.peers.forget();
        let report = catch_unwind(AssertUnwindSafe(|| (self.run)(ground)));
        let report = report.map_err(|_| anyhow!("it panicked; its words are above"))??;
        Ok(Outcome {
            name: self.name,
            about: self.about,
            report,
            peers: ground.peers.used(),
            took: begin.elapsed(),
        })
    }
}
