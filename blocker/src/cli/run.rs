//! `blocker run`: the agent.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::RunOptions;
use crate::agent;
use crate::api::control::Command;
use crate::config::OnBroken;
use crate::memory;

/// Commands that may wait.
const COMMANDS: usize = 8;

pub(super) fn run(run: RunOptions) -> Result<ExitCode> {
    memory::be_thrifty();
    let on_broken = if run.skip_broken_jails {
        OnBroken::Skip
    } else {
        OnBroken::Refuse
    };
    let load = move || {
        let mut settings = run.options.clone().settings(on_broken)?;
        settings.dry_run = run.dry_run;
        Ok(settings)
    };
    let settings = load()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let mut hung_up = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
        let (command, commands) = mpsc::channel(COMMANDS);
        let by_signal = command.clone();
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    _ = terminated.recv() => Command::Stop,
                    _ = interrupted.recv() => Command::Stop,
                    _ = hung_up.recv() => Command::Reload(None),
                };
                if by_signal.send(next).await.is_err() {
                    return;
                }
            }
        });
        agent::run(settings, Arc::new(load), (command, commands)).await
    });
    // A configuration that cannot be read to its end keeps nobody from ending.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}
