//! What the kernel's sets really hold, and how that differs from what they are to hold.

use std::collections::HashMap;
use std::ffi::CStr;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use nix::errno::Errno;

use super::plan::Span;
use super::sets::Place;
use super::socket::{Answer, Socket};
use super::sys::Elements;
use crate::ban::{Change, JailId, Subject};

/// By how much an end may differ: the wall clock is set now and then.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Bans by whom they are on, each with the time that is left to it, if it ends by itself.
pub type Held = HashMap<Subject, Vec<(JailId, Option<Duration>)>>;

/// The elements of a set; none where there is no such set.
///
/// # Errors
///
/// When the kernel does not tell them.
pub fn elements(socket: &Socket, set: &CStr) -> nix::Result<Vec<(IpAddr, Option<Duration>)>> {
    let answers = socket.exchange([Elements { set }.request().as_slice()])?;
    if answers.lost {
        return Err(Errno::ENOBUFS);
    }
    let mut all = Vec::new();
    for answer in answers.all {
        match answer {
            Answer::Data(message) => all.extend(Elements::parse(&message)),
            Answer::Refused(_, Errno::ENOENT) => return Ok(Vec::new()),
            Answer::Refused(_, errno) => return Err(errno),
            Answer::Done(_) => {}
        }
    }
    Ok(all)
}

/// What sets hold. While one grows, elements may be missing.
///
/// # Errors
///
/// When the kernel does not tell it.
pub fn bans<'a>(socket: &Socket, sets: impl Iterator<Item = (Place, &'a CStr)>) -> nix::Result<Held> {
    let mut held = Held::new();
    for (place, set) in sets {
        for (address, left) in elements(socket, set)? {
            if let Ok(network) = IpNet::new(address, place.prefix_len) {
                let held = held.entry(network.into()).or_default();
                // While a set grows, an element may be told twice.
                if held.iter().all(|(jail, _)| *jail != place.jail) {
                    held.push((place.jail, left));
                }
            }
        }
    }
    Ok(held)
}

/// The changes that make sets which hold this hold what is wanted.
pub fn mending(held: &Held, wanted: &[Change], now: Timestamp) -> Vec<Change> {
    let mut rest: HashMap<Subject, &[(JailId, Option<Duration>)]> =
        held.iter().map(|(subject, held)| (*subject, held.as_slice())).collect();
    let mut mending: Vec<Change> = wanted
        .iter()
        .filter(|change| {
            let held = rest.remove(&change.subject).unwrap_or_default();
            !is_same(change, held, now)
        })
        .cloned()
        .collect();
    mending.extend(rest.into_keys().map(|subject| Change {
        subject,
        bans: Vec::new(),
    }));
    mending
}

fn is_same(wanted: &Change, held: &[(JailId, Option<Duration>)], now: Timestamp) -> bool {
    let mut due = 0;
    for ban in &wanted.bans {
        let span = Span::left(ban.until, now);
        if span == Span::Over {
            continue;
        }
        due += 1;
        let is_right = |(jail, left): &(JailId, Option<Duration>)| {
            let is_near = match (span, left) {
                (Span::For(wanted), Some(left)) => wanted.abs_diff(*left) <= TOLERANCE,
                (Span::Forever, None) => true,
                (Span::For(_), None) | (Span::Forever, Some(_)) | (Span::Over, _) => false,
            };
            *jail == ban.jail && is_near
        };
        if !held.iter().any(is_right) {
            return false;
        }
    }
    due == held.len()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::ban::{Enforced, Expiry};

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn wanted(subject: &str, bans: &[(u16, Option<i64>)]) -> Change {
        let ban = |(jail, seconds): &(u16, Option<i64>)| Enforced {
            jail: JailId(*jail),
            until: seconds.map_or(Expiry::Never, |seconds| {
                Expiry::At(now() + SignedDuration::from_secs(seconds))
            }),
        };
        Change {
            subject: subject.parse().unwrap(),
            bans: bans.iter().map(ban).collect(),
        }
    }

    fn held(subject: &str, bans: &[(u16, Option<u64>)]) -> Held {
        let bans = bans
            .iter()
            .map(|(jail, left)| (JailId(*jail), left.map(Duration::from_secs)));
        Held::from([(subject.parse().unwrap(), bans.collect())])
    }

    #[test]
    fn what_is_as_it_is_to_be_needs_no_mending() {
        let wanted = [wanted("192.0.2.7", &[(0, Some(60)), (1, None), (2, Some(-1))])];
        assert_eq!(
            mending(&held("192.0.2.7", &[(1, None), (0, Some(57))]), &wanted, now()),
            []
        );
    }

    #[test]
    fn what_is_missing_ends_otherwise_or_is_too_much_is_mended() {
        let all = [wanted("192.0.2.0/24", &[(0, Some(60))])];
        for found in [
            Held::new(),
            held("192.0.2.0/24", &[(0, Some(50))]),
            held("192.0.2.0/24", &[(0, None)]),
            held("192.0.2.0/24", &[(0, Some(60)), (1, Some(60))]),
        ] {
            assert_eq!(mending(&found, &all, now()), all, "{found:?}");
        }
        let lifted = [wanted("192.0.2.7", &[])];
        assert_eq!(mending(&held("192.0.2.7", &[(0, None)]), &[], now()), lifted);
    }
}
