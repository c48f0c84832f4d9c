//! What must be done in the kernel for one change, as a pure function of what it holds and what it is to hold.

use std::time::Duration;

use jiff::Timestamp;

use crate::ban::{Enforced, Expiry, JailId};

/// The shortest timeout an element gets: a tick of the slowest kernel clock. Older kernels round a timeout below one
/// tick down to none at all, and an element without one stays for ever.
const SHORTEST: Duration = Duration::from_millis(10);

/// The longest timeout an element gets, a hundred years. The kernel refuses more than 584, and [`Expiry`] can name
/// later years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// For how long an element is to be in its set from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// No longer.
    Over,
    /// Until the kernel's timeout takes it out.
    For(Duration),
    /// Until it is lifted.
    Forever,
}

impl Span {
    /// The time that is left, in whole milliseconds and rounded up.
    pub fn left(until: Expiry, now: Timestamp) -> Self {
        let Expiry::At(end) = until else { return Self::Forever };
        let nanos = end.as_nanosecond() - now.as_nanosecond();
        if nanos <= 0 {
            return Self::Over;
        }
        let millis = u64::try_from((nanos + 999_999) / 1_000_000).unwrap_or(u64::MAX);
        Self::For(Duration::from_millis(millis).clamp(SHORTEST, LONGEST))
    }
}

/// One element of one jail's set, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The jail.
    pub jail: JailId,
    /// For how long the element is to be there.
    pub span: Span,
}

/// The edits after which the kernel holds exactly `bans` for a host or network that is `held` in these jails' sets now.
///
/// A ban that is held already is edited too: its end may have moved.
pub fn edits(held: impl Iterator<Item = JailId>, bans: &[Enforced], now: Timestamp) -> Vec<Edit> {
    let mut edits = bans
        .iter()
        .map(|ban| Edit {
            jail: ban.jail,
            span: Span::left(ban.until, now),
        })
        .filter(|edit| edit.span != Span::Over)
        .collect::<Vec<_>>();
    for jail in held {
        if edits.iter().all(|edit| edit.jail != jail) {
            edits.push(Edit { jail, span: Span::Over });
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    fn now() -> Timestamp {
        "2024-02-03T04:05:06Z".parse().unwrap()
    }

    fn ban(jail: u16, seconds: i64) -> Enforced {
        Enforced {
            jail: JailId(jail),
            until: Expiry::At(now() + seconds.seconds()),
        }
    }

    fn seconds(seconds: u64) -> Span {
        Span::For(Duration::from_secs(seconds))
    }

    #[test]
    fn a_new_ban_is_held_for_the_time_that_is_left() {
        assert_eq!(
            edits([].into_iter(), &[ban(3, 60)], now()),
            [Edit {
                jail: JailId(3),
                span: seconds(60)
            }]
        );
    }

    #[test]
    fn a_jail_that_is_not_named_any_more_is_lifted_and_the_others_are_refreshed() {
        let held = [JailId(0), JailId(1), JailId(2)];
        assert_eq!(
            edits(held.into_iter(), &[ban(1, 5)], now()),
            [
                Edit {
                    jail: JailId(1),
                    span: seconds(5)
                },
                Edit {
                    jail: JailId(0),
                    span: Span::Over
                },
                Edit {
                    jail: JailId(2),
                    span: Span::Over
                },
            ]
        );
    }

    #[test]
    fn a_ban_whose_end_is_past_is_lifted_where_it_is_held_and_nothing_where_it_is_not() {
        for past in [0, -1, -86_400] {
            assert_eq!(edits([].into_iter(), &[ban(0, past)], now()), []);
            assert_eq!(
                edits([JailId(0)].into_iter(), &[ban(0, past)], now()),
                [Edit {
                    jail: JailId(0),
                    span: Span::Over
                }]
            );
        }
    }

    #[test]
    fn freeing_what_is_not_held_needs_nothing() {
        assert_eq!(edits([].into_iter(), &[], now()), []);
    }

    #[test]
    fn time_left_is_rounded_up_and_kept_within_what_every_kernel_takes() {
        let left = |nanos: i64| Span::left(Expiry::At(now() + nanos.nanoseconds()), now());
        assert_eq!(left(0), Span::Over);
        assert_eq!(left(1), Span::For(SHORTEST));
        assert_eq!(left(1_500_000_001), Span::For(Duration::from_millis(1501)));
        assert_eq!(Span::left(Expiry::At(Timestamp::MAX), now()), Span::For(LONGEST));
        assert_eq!(Span::left(Expiry::Never, now()), Span::Forever);
    }
}
