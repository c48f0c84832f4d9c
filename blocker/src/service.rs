//! What blocker tells the service manager (sd_notify(3)): that it is ready, that it lives, that it stops.
//!
//! Without a service manager nothing is told. How a stage is started or stopped may not enter.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// A thread's sign of life; clones share it.
#[derive(Clone, Debug)]
pub struct Pulse {
    began: Instant,
    /// Milliseconds from then to the last beat.
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// One that has just beaten.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            last: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Gives a sign of life.
    pub fn beat(&self) {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    /// How long ago the last one was.
    #[must_use]
    pub fn quiet(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}

/// Says that bans are in force and logs are read.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that the configuration is being read anew, until [`ready`] says otherwise.
pub fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    match now {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager cannot be told"),
    }
}

/// Says that the agent is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Keeps the service manager's watchdog quiet for as long as each of the threads gives signs of life. Never ends.
///
/// A thread that hangs is told of once; the service manager then ends the agent and starts it again, while the kernel goes on enforcing.
pub async fn keep_watchdog_quiet(threads: Vec<(String, Pulse)>) -> Infallible {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut look = tokio::time::interval((limit / 3).max(Duration::from_millis(1)));
    let mut told = false;
    loop {
        look.tick().await;
        match threads.iter().find(|(_, pulse)| pulse.quiet() >= limit) {
            None => {
                told = false;
                tell(&[NotifyState::Watchdog]);
            }
            Some((thread, pulse)) if !told => {
                told = true;
                let seconds = pulse.quiet().as_secs();
                tracing::error!(%thread, seconds, "the thread gives no sign of life; the service manager will start blocker again");
            }
            Some(_) => {}
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
