//! `cargo xtask test`: all tests.
//!
//! Those of the package blocker-tests need root. They are run through sudo by whoever is not, and fail with this command's name
//! when they are started without either.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{build, cargo, package};

/// The package whose tests need root.
const AS_ROOT: &str = "blocker-tests";

/// What was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only tests whose names contain this
    filter: Option<String>,
}

/// Builds everything and runs the tests, all of them: what fails keeps nobody from learning what else does.
pub(crate) fn test(arguments: &Arguments) -> Result<()> {
    build::agent()?;
    let filter = arguments.filter.as_deref();
    if filter.is_none() {
        // Else the test of the package would build them, out of sight.
        package::prepare()?;
    }
    let mut plain = cargo();
    plain.args(["test", "--no-fail-fast", "--workspace", "--exclude", AS_ROOT]);
    // Programs for the kernel have no tests on the host: the logic of ours is blocker-common's.
    plain.args(["--exclude", "blocker-ebpf", "--exclude", "blocker-bench-ebpf"]);
    let plain_passed = run(plain.args(filter));

    let mut as_root = cargo();
    as_root.args(["test", "--no-fail-fast", "--package", AS_ROOT]);
    if !nix::unistd::geteuid().is_root() {
        eprintln!("test: running the tests of {AS_ROOT} through sudo, since they make network namespaces");
        as_root.env(runner_variable(), "sudo --preserve-env");
    }
    let as_root_passed = run(as_root.args(filter));
    plain_passed.and(as_root_passed)
}

/// Where cargo looks for the program to start tests with.
fn runner_variable() -> String {
    let target = env!("TARGET").to_uppercase().replace('-', "_");
    format!("CARGO_TARGET_{target}_RUNNER")
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "tests failed");
    Ok(())
}
