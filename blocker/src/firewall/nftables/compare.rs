//! What the kernel holds, against what it is to hold.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use jiff::Timestamp;

use super::bans::Bans;
use super::held::{self, Held};
use super::names::Names;
use super::sets::Place;
use super::socket::Socket;
use crate::ban::{Change, JailId, Subject};

/// Up to so many elements, all of a set are told about as quickly as asked for one by one, and what others have added is found with them.
/// Of twice as many it takes half as long again; a million is asked for in 6 s.
const FEW: usize = 100_000;

/// The changes that make the kernel hold exactly what is wanted.
///
/// What is missing or ends at another time is always found. What somebody else has added is found in sets that are to hold few: the kernel
/// would take 40 s and more to tell all of a set of a million.
///
/// # Errors
///
/// When the kernel does not tell what it holds.
pub fn compare(
    socket: &Socket,
    names: &[Names],
    bans: &mut Bans,
    wanted: &[Change],
    now: Timestamp,
) -> nix::Result<Vec<Change>> {
    let mut expected = HashMap::<Place, Vec<Subject>>::new();
    for (subject, jail) in bans.all().chain(unknown(bans, wanted)) {
        expected.entry(Place::of(jail, subject)).or_default().push(subject);
    }
    // What is left is wanted as it was when this began, and to ask for a million takes seconds.
    let begin = Instant::now();
    let mut held = Held::new();
    let mut told = HashSet::<Place>::new();
    for (place, set) in bans.sets().all() {
        let subjects = expected.remove(&place).unwrap_or_default();
        if subjects.len() <= FEW {
            held::add_all(&mut held, socket, place, set, begin)?;
            told.insert(place);
        } else {
            let asked = subjects.into_iter().map(|subject| (subject, place.jail));
            held::ask(socket, (names, Names::set), asked, |subject, jail, found| {
                held::add(&mut held, subject, jail, found.left_at(begin));
            })?;
        }
    }
    let mut mending = held::mending(&held, wanted, now);
    if !mending.is_empty() {
        look_again(socket, names, (&mut held, begin), &mending, &told)?;
        mending = held::mending(&held, wanted, now);
    }
    bans.learn(&held);
    Ok(mending)
}

/// What is wanted and was never there.
fn unknown(bans: &Bans, wanted: &[Change]) -> impl Iterator<Item = (Subject, JailId)> {
    wanted.iter().flat_map(|Change { subject, bans: wanted }| {
        let is_unknown = |jail: &JailId| !bans.knows(*subject, *jail);
        let jails = wanted.iter().map(|ban| ban.jail).filter(is_unknown);
        jails.map(|jail| (*subject, jail))
    })
}

/// Asks for what seems to differ, in the sets that were told as a whole: what they lack may just have been passed over while others ended.
fn look_again(
    socket: &Socket,
    names: &[Names],
    (held, begin): (&mut Held, Instant),
    differing: &[Change],
    told: &HashSet<Place>,
) -> nix::Result<()> {
    let mut doubtful = Vec::new();
    for Change { subject, .. } in differing {
        for jail in (0..).map(JailId).take(names.len()) {
            if told.contains(&Place::of(jail, *subject)) {
                doubtful.push((*subject, jail));
                if let Some(bans) = held.get_mut(subject) {
                    bans.retain(|(known, _)| *known != jail);
                }
            }
        }
        if held.get(subject).is_some_and(Vec::is_empty) {
            held.remove(subject);
        }
    }
    held::ask(
        socket,
        (names, Names::set),
        doubtful.into_iter(),
        |subject, jail, found| {
            held::add(held, subject, jail, found.left_at(begin));
        },
    )
}
