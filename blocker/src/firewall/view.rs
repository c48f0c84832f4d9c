//! What can be read of a firewall while it is busy: a batch of a million bans takes it seconds, and whoever watches is not to wait.
//!
//! A [`View`] is taken in no time and needs its firewall no more: counters come from the kernel, and how full maps are is noted by
//! whoever changes them. Nothing here may wait for a change that is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use super::{Counted, Coverage, Kind};

/// A firewall's counters in the kernel.
pub trait Counts: Send + Sync {
    /// What became of packets that bans cover, for every jail, family and outcome, in that order.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell.
    fn read(&self) -> Result<Vec<Counted>>;
}

/// What there is to see of a firewall.
#[derive(Clone)]
pub struct View {
    /// Which one it is.
    pub kind: Kind,
    /// How each interface is covered that is meant to be, as it was when the view was taken.
    pub coverage: Vec<Coverage>,
    /// Its maps and sets.
    pub maps: Vec<Map>,
    /// Of each firewall that it consists of.
    pub counts: Vec<Arc<dyn Counts>>,
}

impl View {
    /// What became of packets that bans cover, for every jail, family and outcome, in that order; of one firewall after the other.
    ///
    /// # Errors
    ///
    /// When the kernel's counters cannot be read. Where the first firewall's can, what keeps others from it is only logged.
    pub fn counters(&self) -> Result<Vec<Counted>> {
        let mut all = Vec::new();
        for (n, counts) in self.counts.iter().enumerate() {
            match counts.read() {
                Ok(counted) => all.extend(counted),
                Err(error) if n == 0 => return Err(error),
                // It hides nothing of what the first has counted.
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "the counters of one of the two firewalls cannot be read"
                ),
            }
        }
        Ok(all)
    }
}

/// A table in the kernel.
#[derive(Clone, Debug)]
pub struct Map {
    /// Its name in metrics.
    pub name: String,
    /// What is in it.
    pub entries: Entries,
    /// The most that it holds; none where it grows as long as there is memory.
    pub capacity: Option<u64>,
}

/// How many elements a table has. Its clones tell the same number.
#[derive(Clone, Debug, Default)]
pub struct Entries(Arc<AtomicU64>);

impl Entries {
    /// Notes how many there are now.
    pub fn note(&self, count: usize) {
        self.0.store(count as u64, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
