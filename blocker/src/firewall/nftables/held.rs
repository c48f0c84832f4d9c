//! What the kernel's sets really hold, and how that differs from what they are to hold.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use blocker_common::packet::Family;
use ipnet::IpNet;
use jiff::Timestamp;
use nix::errno::Errno;

use super::names::Names;
use super::plan::Span;
use super::sets::Place;
use super::socket::{Answer, Answers, Socket};
use super::sys::{Elements, Found, One};
use crate::ban::{Change, JailId, Subject};

/// By how much an end may differ: the wall clock is set now and then.
const TOLERANCE: Duration = Duration::from_secs(5);

/// How many elements are asked for at a time. The answers wait on the socket, each in a buffer of its own, and have room there also
/// where a socket has no more than it may have without privileges over the machine.
const QUESTIONS: usize = 256;

/// Bans by whom they are on, each with the time that is left to it, if it ends by itself.
pub type Held = HashMap<Subject, Vec<(JailId, Option<Duration>)>>;

/// How often a set is asked for as a whole until it is told without a change of its table. The kernel makes a table larger or smaller in one
/// go or two, each over within less time than it takes to tell it.
const ATTEMPTS: usize = 8;

/// The elements of a set, each once; none where there is no such set.
///
/// The kernel begins from the front for each few hundred of a hash set, so that this takes a time that grows with the square of
/// how many there are. It finds its place by counting, and while it moves the elements to a larger table, after many have been added, or to
/// a smaller one, it passes some over and tells as many others twice (`nft_rhash_walk`, Linux 6.18). A set that is told so is asked
/// for again; where that never comes to an end, whatever was told is given.
/// An element that it passes over because others end meanwhile cannot be noticed.
///
/// # Errors
///
/// When the kernel does not tell them.
pub fn elements(socket: &Socket, set: &CStr) -> nix::Result<Vec<Found>> {
    let mut all = HashMap::new();
    for _ in 0..ATTEMPTS {
        let answers = socket.exchange([Elements { set }.request().as_slice()])?;
        if answers.lost {
            return Err(Errno::ENOBUFS);
        }
        let mut told = HashSet::new();
        let mut is_steady = true;
        tell(answers, |found| {
            is_steady &= told.insert(found.address);
            all.insert(found.address, found);
        })?;
        if is_steady {
            // What only an earlier attempt told is there no longer.
            all.retain(|address, _| told.contains(address));
            break;
        }
    }
    Ok(all.into_values().collect())
}

/// What a jail's set for a family and a length of prefix is called.
pub type Named = fn(&Names, Family, u8) -> CString;

/// Hands the elements of sets that are called so to `each`, as far as they are among those asked for. What is asked for takes a time that grows with
/// how much it is, however much the sets hold, and what is there is never missed.
///
/// # Errors
///
/// When the kernel does not tell it.
pub fn ask(
    socket: &Socket,
    (names, named): (&[Names], Named),
    asked: impl Iterator<Item = (Subject, JailId)>,
    mut each: impl FnMut(Subject, JailId, Found),
) -> nix::Result<()> {
    let mut by_place = HashMap::<Place, Vec<IpAddr>>::new();
    for (subject, jail) in asked {
        let addresses = by_place.entry(Place::of(jail, subject)).or_default();
        addresses.push(subject.network().addr());
    }
    for (place, addresses) in by_place {
        let Some(names) = names.get(usize::from(place.jail.0)) else {
            continue;
        };
        let set = named(names, place.family, place.prefix_len);
        for some in addresses.chunks(QUESTIONS) {
            ask_some(socket, &set, some, &mut |found: Found| {
                if let Ok(network) = IpNet::new(found.address, place.prefix_len) {
                    each(network.into(), place.jail, found);
                }
            })?;
        }
    }
    Ok(())
}

fn ask_some(socket: &Socket, set: &CStr, addresses: &[IpAddr], each: &mut dyn FnMut(Found)) -> nix::Result<()> {
    let Some(first) = addresses.first() else {
        return Ok(());
    };
    // A message for each: with several in one, the kernel stops at the first that is not there.
    let mut question = One::of(set, first);
    let mut datagram = Vec::new();
    for address in addresses {
        question.write(address, &mut datagram);
    }
    let answers = socket.exchange([datagram.as_slice()])?;
    if !answers.lost {
        return tell(answers, each);
    }
    if addresses.len() == 1 {
        return Err(Errno::ENOBUFS);
    }
    let (one, other) = addresses.split_at(addresses.len() / 2);
    ask_some(socket, set, one, each)?;
    ask_some(socket, set, other, each)
}

fn tell(answers: Answers, mut each: impl FnMut(Found)) -> nix::Result<()> {
    for answer in answers.all {
        match answer {
            Answer::Data(message) => Elements::parse(&message).into_iter().for_each(&mut each),
            // There is no such set, or no such element.
            Answer::Refused(_, Errno::ENOENT) | Answer::Done(_) => {}
            Answer::Refused(_, errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Adds all that a set holds, with the time that was left to it at `begin`.
///
/// # Errors
///
/// When the kernel does not tell it.
pub fn add_all(held: &mut Held, socket: &Socket, place: Place, set: &CStr, begin: Instant) -> nix::Result<()> {
    for found in elements(socket, set)? {
        if let Ok(network) = IpNet::new(found.address, place.prefix_len) {
            add(held, network.into(), place.jail, found.left_at(begin));
        }
    }
    Ok(())
}

/// Adds a ban that a set holds, once.
pub fn add(held: &mut Held, subject: Subject, jail: JailId, left: Option<Duration>) {
    // Most are banned by one jail.
    let bans = held.entry(subject).or_insert_with(|| Vec::with_capacity(1));
    if bans.iter().all(|(known, _)| *known != jail) {
        bans.push((jail, left));
    }
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
