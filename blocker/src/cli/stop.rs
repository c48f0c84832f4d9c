//! `blocker stop`: ends the agent; what it banned stays in force, unless it is to be cleared.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use serde::Serialize;

use super::client::{Client, Where};
use super::{json, written};
use crate::config::{self, Folder};
use crate::firewall;
use crate::instance::{Instance, Namespace};
use crate::ledger::store;

/// How long an agent may take to end.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// What `stop` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Lift all bans too: take everything of blocker's out of the kernel, also where no agent runs
    #[arg(long)]
    clear: bool,
    /// With --clear: folder of the ledger [default: the last agent's, else as in blocker.toml]
    #[arg(long, value_name = "DIR", requires = "clear")]
    state: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Stopped {
    /// Whether an agent has ended.
    ended: bool,
    /// Whether all bans were lifted.
    cleared: bool,
}

pub(super) fn stop(arguments: &Arguments) -> Result<ExitCode> {
    let namespace = Namespace::own()?;
    let ended = end(&namespace)?;
    if !ended && !arguments.clear {
        bail!("no agent runs here; `blocker stop --clear` lifts what one has left in force");
    }
    if arguments.clear {
        clear(&namespace, arguments.state.clone())?;
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        let stopped = Stopped {
            ended,
            cleared: arguments.clear,
        };
        return written(json::write(&stopped, &mut out));
    }
    let agent = if ended {
        "the agent has ended"
    } else {
        "no agent runs here"
    };
    let bans = if arguments.clear {
        "no ban is in force any more"
    } else {
        "its bans stay in force until they end; `blocker stop --clear` lifts them"
    };
    written(writeln!(out, "{agent}; {bans}"))
}

/// Lifts all bans, in the ledger too: else the next agent would have them in force again.
fn clear(namespace: &Namespace, state: Option<PathBuf>) -> Result<()> {
    let state = match state.or_else(|| namespace.last_state()) {
        Some(state) => state,
        None => config::state(Folder::Default)?,
    };
    // No agent that a supervisor starts again may begin meanwhile.
    let _instance = Instance::take(namespace, &state)?;
    firewall::clear(&namespace.pins())?;
    store::clear(&state).with_context(|| {
        format!(
            "the kernel holds no ban any more, but the ledger in {} still does: the next agent would take them over",
            state.display()
        )
    })?;
    Ok(())
}

/// Ends the agent and waits for it. Says whether there was one.
fn end(namespace: &Namespace) -> Result<bool> {
    let Some(agent) = namespace.running()? else {
        return Ok(false);
    };
    let told = Client::new(&Where::default())?.tell("/v1/stop");
    // One that has ended meanwhile may have left its number to another process.
    if told.is_err() && namespace.running()? == Some(agent) {
        // An agent whose socket is gone, or that is too busy to answer on it, hears the signal.
        match kill(agent, Signal::SIGTERM) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("the agent, process {agent}, cannot be ended")),
        }
    }
    let deadline = Instant::now() + DEADLINE;
    while namespace.running()?.is_some() {
        if Instant::now() > deadline {
            bail!("the agent, process {agent}, does not end; look at its log, and end it with `kill -9 {agent}`");
        }
        std::thread::park_timeout(LOOK);
    }
    Ok(true)
}
