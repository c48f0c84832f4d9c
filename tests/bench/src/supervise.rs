//! Whatever becomes of a bench, nothing of it stays behind.
//!
//! The benches run in a second process of this program. When the first is told to end, it kills the second one, with all that
//! it has started, and takes away its namespaces, which the lab's registry knows, and its control groups. So no bench has to listen for Ctrl-C, in
//! the midst of a million bans or of somebody else's program.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use blocker_lab::registry;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::relay::processor;

/// Set for the second process.
const WORKER: &str = "BLOCKER_BENCH_WORKER";
/// As a shell says that a command was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Between two looks at the second process.
const POLL: Duration = Duration::from_millis(50);

/// Whether this is the second process. It dies with the first.
pub(crate) fn is_worker() -> bool {
    std::env::var_os(WORKER).is_some() && set_pdeathsig(Signal::SIGKILL).is_ok()
}

/// Runs the second process, and ends as it does.
pub(crate) fn run() -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot listen for signals")?;
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    // Ctrl-C in a terminal goes to a whole process group; the first process is to hear it alone.
    let mut worker = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(WORKER, "1")
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start a second process")?;
    let status = loop {
        if let Some(status) = worker.try_wait()? {
            break status;
        }
        if stop.load(Ordering::Relaxed) {
            let group = Pid::from_raw(i32::try_from(worker.id())?);
            // It may have ended by now.
            let _gone = killpg(group, Signal::SIGKILL);
            break worker.wait()?;
        }
        thread::sleep(POLL);
    };
    registry::clear().context("cannot take away what the benches have made")?;
    processor::clear().context("cannot take away the benches' control groups")?;
    if stop.load(Ordering::Relaxed) {
        eprintln!("bench: interrupted; everything that was made is taken away");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
