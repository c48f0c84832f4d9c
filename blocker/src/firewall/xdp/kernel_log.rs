//! What the kernel program says about single packets, at debug level.
//!
//! Off unless debug logging is on when the program is loaded: the level is a constant to the verifier, which removes the
//! program's log calls as dead code.
#![expect(unsafe_code, reason = "tokio wants a promise about the descriptor it waits on")]

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// `aya-log`'s number for debug; 0 turns everything off.
const DEBUG: u8 = 4;

/// The level to compile the program for.
pub(super) fn level() -> u8 {
    if tracing::enabled!(target: "blocker_ebpf", tracing::Level::DEBUG) {
        DEBUG
    } else {
        0
    }
}

/// Hands the program's log records on to [`tracing`], until dropped.
pub(super) struct KernelLog(JoinHandle<()>);

impl KernelLog {
    /// Starts handing on, where there is anything to hand on and a runtime to do it.
    pub(super) fn start(ebpf: &mut Ebpf, level: u8) -> Result<Option<Self>> {
        let (true, Ok(runtime)) = (level > 0, Handle::try_current()) else {
            return Ok(None);
        };
        let logger = EbpfLogger::init(ebpf).context("cannot read the kernel program's log")?;
        // SAFETY: the logger owns its ring buffer's descriptor and gives the same one for as long as it lives.
        let logger = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) };
        let mut logger = logger.context("cannot wait for the kernel program's log")?;
        let task = runtime.spawn(async move {
            while let Ok(mut ready) = logger.readable_mut().await {
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
        });
        Ok(Some(Self(task)))
    }
}

impl Drop for KernelLog {
    fn drop(&mut self) {
        self.0.abort();
    }
}
