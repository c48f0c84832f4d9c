//! Joining a namespace: the one place of the lab with unsafe code.
//!
//! A thread joins by itself. A process joins between fork and exec, where only calls are allowed that neither allocate nor lock;
//! everything [`Place::join`] does is a bare system call.
#![expect(
    unsafe_code,
    reason = "Command::pre_exec is unsafe: its closure runs between fork and exec"
)]

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::fchdir;

/// The network and the mounts of a host.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) net: Arc<OwnedFd>,
    pub(crate) mounts: Arc<OwnedFd>,
}

impl Place {
    /// Moves the calling thread into the namespaces, for good; its working folder stays what it was.
    pub(crate) fn join(&self) -> nix::Result<()> {
        // Entering a mount namespace moves the working folder to its root. The files are the same ones on both sides, so the
        // thread can go back to where it was.
        let here = open(
            c".",
            OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        setns(self.net.as_fd(), CloneFlags::CLONE_NEWNET)?;
        // The threads of a process share root and working folder; the kernel lets only a thread with its own of both enter.
        unshare(CloneFlags::CLONE_FS)?;
        setns(self.mounts.as_fd(), CloneFlags::CLONE_NEWNS)?;
        fchdir(here)
    }

    /// A command that will start inside, and die with the thread that started it.
    pub(crate) fn command(&self, program: &OsStr) -> Command {
        let place = self.clone();
        let mut command = Command::new(program);
        // SAFETY: the closure makes system calls only; the descriptors it uses were opened before the fork.
        unsafe {
            command.pre_exec(move || {
                set_pdeathsig(Signal::SIGKILL)?;
                place.join()?;
                Ok(())
            });
        }
        command
    }
}
