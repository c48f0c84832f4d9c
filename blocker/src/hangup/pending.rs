//! The bans whose connections are still to be ended, between whoever makes them and the thread that does it.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::covered::Banned;
use crate::ban::{Change, Networks};

/// Hosts and networks that may wait. Beyond, a mail server's own timeout ends their connections.
const MOST: usize = 50_000;
/// So long after the first others may come in too. Packets that were on their way past the firewall have arrived by then.
pub(super) const GATHER: Duration = Duration::from_millis(20);

/// What waits, and who waits for it.
#[derive(Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    banned: Banned,
    /// When the first of them came in.
    since: Option<Instant>,
    /// Whose connections are left alone.
    spared: Arc<Networks>,
    left_out: usize,
    is_closed: bool,
    is_off: bool,
}

/// What has come together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) banned: Banned,
    pub(super) spared: Arc<Networks>,
    /// Hosts and networks for which there was no room.
    pub(super) left_out: usize,
}

impl Pending {
    /// Adds hosts and networks, each with those who ban it now and nobody else; takes those out that nobody bans any more.
    pub(super) fn add<'a>(&self, in_force: impl Iterator<Item = &'a Change>) {
        let mut state = self.lock();
        if state.is_off {
            return;
        }
        for Change { subject, bans } in in_force {
            if bans.is_empty() {
                state.banned.remove(subject);
            } else if state.banned.len() >= MOST && !state.banned.contains_key(subject) {
                state.left_out += 1;
            } else {
                let jails = bans.iter().map(|ban| ban.jail).collect();
                state.banned.insert(*subject, jails);
            }
        }
        if state.banned.is_empty() {
            // Whoever waits for a batch waits on.
            state.since = None;
        } else if state.since.is_none() {
            state.since = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    pub(super) fn spare(&self, networks: Networks) {
        self.lock().spared = Arc::new(networks);
    }

    /// Has [`next`](Self::next) give what there is, and then nothing any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Takes nothing in any more.
    pub(super) fn turn_off(&self) {
        let mut state = self.lock();
        state.is_off = true;
        state.take();
    }

    /// Waits for the next batch, and not before `rested`; `None` when it was closed and there is nothing left.
    pub(super) fn next(&self, rested: Instant) -> Option<Batch> {
        let mut state = self.lock();
        while !state.is_closed {
            let Some(since) = state.since else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let begin = rested.max(since + GATHER);
            let left = begin.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = state.take();
        (!batch.banned.is_empty()).then_some(batch)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Batch {
        self.since = None;
        Batch {
            banned: mem::take(&mut self.banned),
            spared: Arc::clone(&self.spared),
            left_out: mem::take(&mut self.left_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::ban::{Enforced, Expiry, JailId, Subject};

    fn change(host: u32, jails: &[u16]) -> Change {
        let ban = |jail: &u16| Enforced {
            jail: JailId(*jail),
            until: Expiry::Never,
        };
        Change {
            subject: Subject::host(Ipv4Addr::from_bits(host).into()),
            bans: jails.iter().map(ban).collect(),
        }
    }

    fn next(pending: &Pending) -> Option<Batch> {
        pending.next(Instant::now())
    }

    #[test]
    fn of_several_changes_for_one_host_the_last_counts_and_one_that_is_lifted_is_none() {
        let pending = Pending::default();
        pending.add([change(1, &[0, 1]), change(2, &[0]), change(1, &[0, 3]), change(2, &[])].iter());
        let batch = next(&pending).unwrap();
        let jails = [0, 3].into_iter().map(JailId).collect();
        let banned: Vec<_> = batch.banned.into_iter().collect();
        assert_eq!(banned, [(change(1, &[]).subject, jails)]);
    }

    #[test]
    fn a_batch_whose_only_ban_is_lifted_waits_for_the_next() {
        let pending = Pending::default();
        pending.add([change(1, &[0])].iter());
        pending.add([change(1, &[])].iter());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| next(&pending));
            pending.add([change(2, &[0])].iter());
            let batch = waits.join().unwrap().unwrap();
            assert!(batch.banned.contains_key(&change(2, &[]).subject));
        });
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_there_is_room_again() {
        let pending = Pending::default();
        let hosts = 0..MOST as u32 + 7;
        let changes: Vec<Change> = hosts.map(|host| change(host, &[0])).collect();
        pending.add(changes.iter());
        let batch = next(&pending).unwrap();
        assert_eq!((batch.banned.len(), batch.left_out), (MOST, 7));
        pending.add([change(1, &[0])].iter());
        let batch = next(&pending).unwrap();
        assert_eq!((batch.banned.len(), batch.left_out), (1, 0));
    }

    #[test]
    fn what_is_there_when_it_is_closed_is_given_at_once() {
        let pending = Pending::default();
        pending.add([change(1, &[0])].iter());
        pending.close();
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(pending.next(far).unwrap().banned.len(), 1);
        assert!(pending.next(far).is_none());
    }

    #[test]
    fn bans_gather_before_they_are_given() {
        let pending = Pending::default();
        let begun = Instant::now();
        pending.add([change(1, &[0])].iter());
        next(&pending).unwrap();
        assert!(begun.elapsed() >= GATHER);
    }

    #[test]
    fn whoever_is_spared_is_told_with_the_next_batch() {
        let pending = Pending::default();
        pending.add([change(1, &[0])].iter());
        pending.spare([change(1, &[]).subject.network()].into_iter().collect());
        let batch = next(&pending).unwrap();
        assert!(batch.spared.cover(change(1, &[]).subject));
    }

    #[test]
    fn nothing_is_taken_in_once_it_is_off() {
        let pending = Pending::default();
        pending.add([change(1, &[0])].iter());
        pending.turn_off();
        pending.add([change(2, &[0])].iter());
        pending.close();
        assert!(next(&pending).is_none());
    }
}
