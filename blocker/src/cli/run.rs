//! `blocker run`: the agent.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

use super::RunOptions;
use crate::agent;
use crate::config::OnBroken;

pub(super) fn run(run: RunOptions) -> Result<ExitCode> {
    let on_broken = if run.skip_broken_jails {
        OnBroken::Skip
    } else {
        OnBroken::Refuse
    };
    let mut settings = run.options.settings(on_broken)?;
    settings.dry_run = run.dry_run;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let stop = async {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        agent::run(settings, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}
