//! Becoming root.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Error;

/// Set for the second call, which comes after the build.
const ESCALATED: &str = "BLOCKER_XTASK_ESCALATED";

/// Whether this is the second call, by sudo; the first one has built everything.
pub(crate) fn after_escalation() -> bool {
    std::env::var_os(ESCALATED).is_some()
}

/// Replaces this process by the same call through sudo; returns only if that fails.
pub(crate) fn through_sudo() -> Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    eprintln!("This needs root: calling myself again through sudo.");
    let mut command = Command::new("sudo");
    // sudo has a PATH of its own, in which rustup's programs are not.
    let path = std::env::var("PATH").unwrap_or_default();
    command.args(["-E", "env", &format!("PATH={path}"), &format!("{ESCALATED}=1")]);
    let error = command.arg(program).args(std::env::args_os().skip(1)).exec();
    Error::new(error).context("cannot start sudo; call this as root instead")
}
