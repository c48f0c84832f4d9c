//! Who was banned before, for jails whose bans grow.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::ban::{Ban, JailId, Subject};

/// Hosts and networks of which earlier bans are remembered; those of the longest ago are forgotten first.
const MOST: NonZeroUsize = NonZeroUsize::new(500_000).expect("not zero");

/// How often each was banned, by each jail and by all.
pub(super) struct Past(LruCache<(Subject, Option<JailId>), u32>);

impl Past {
    pub(super) fn new() -> Self {
        Self(LruCache::new(MOST))
    }

    /// How often a jail, or without one any, has banned this one.
    pub(super) fn bans(&mut self, subject: Subject, jail: Option<JailId>) -> u32 {
        self.0.get(&(subject, jail)).copied().unwrap_or(0)
    }

    pub(super) fn remember(&mut self, ban: &Ban) {
        for jail in [Some(ban.jail), None] {
            let bans = self.0.get_or_insert_mut((ban.subject, jail), || 0);
            *bans = bans.saturating_add(1);
        }
    }
}
