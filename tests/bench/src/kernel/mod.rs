//! What the benches of the kernel path share: hosts, frames, programs, and how long the kernel takes over them.

pub(crate) mod hosts;
pub(crate) mod ours;
pub(crate) mod program;
pub(crate) mod sender;
pub(crate) mod xdp_filter;

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Keeps the calling thread on one processor, so that its caches stay its own.
pub(crate) fn stay_on_one_processor() -> Result<()> {
    let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
    let mut set = CpuSet::new();
    set.set(last)?;
    sched_setaffinity(Pid::from_raw(0), &set).context("cannot keep to one processor")
}

/// Nanoseconds of the processor's time that the calling thread takes for `work`, the kernel's on its behalf included. What others do on
/// the processor meanwhile does not count.
pub(crate) fn processor_time(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("this system has no clock for threads");
    let begin = now()?;
    work()?;
    let end = now()?;
    Ok((end.tv_sec() - begin.tv_sec()) as f64 * 1e9 + (end.tv_nsec() - begin.tv_nsec()) as f64)
}
