//! Who still knocks: packets that bans covered, as the sets count them that packets enter by themselves.
//!
//! A packet is counted for the ban whose set its source was found in, whatever becomes of it then.

use std::collections::HashMap;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::bans::Bans;
use super::held;
use super::names::Names;
use super::socket::Socket;
use super::sys::Knock;
use crate::ban::{JailId, Subject};
use crate::firewall::Knocks;

/// What bans have covered, where it is anything.
pub type Before = HashMap<(Subject, JailId), Knock>;

/// What these bans have covered until now.
///
/// # Errors
///
/// When the kernel does not tell it.
pub fn before(socket: &Socket, names: &[Names], bans: impl Iterator<Item = (Subject, JailId)>) -> nix::Result<Before> {
    let mut before = Before::new();
    held::ask(socket, (names, Names::knocks), bans, |subject, jail, found| {
        if let Some(knock) = found.knock() {
            before.insert((subject, jail), knock);
        }
    })?;
    Ok(before)
}

/// The same, where it is no reason not to enforce the bans that the kernel does not tell it.
pub fn before_if_told(
    socket: &Socket,
    names: &[Names],
    bans: impl Iterator<Item = (Subject, JailId)>,
) -> Option<Before> {
    let before = before(socket, names, bans);
    before
        .inspect_err(|errno| {
            tracing::warn!(error = %errno, "nftables: what bans have covered cannot be read; some may count on, or anew, that should not");
        })
        .ok()
}

/// What the bans of hosts and networks have covered, those of several jails together, as far as they are in force. One that is named
/// more than once, as whoever lists bans of several jails names it, counts once.
///
/// # Errors
///
/// When the kernel does not tell it.
pub fn read(
    socket: &Socket,
    names: &[Names],
    bans: &Bans,
    subjects: &[Subject],
    now: Timestamp,
) -> nix::Result<Vec<Knocks>> {
    let at = Instant::now();
    let mut asked = Vec::new();
    let mut all = HashMap::new();
    for &subject in subjects {
        if all.contains_key(&subject) {
            continue;
        }
        for jail in bans.jails(subject, at) {
            asked.push((subject, jail));
            let nothing = Knocks {
                subject,
                packets: 0,
                last: None,
            };
            all.insert(subject, nothing);
        }
    }
    held::ask(
        socket,
        (names, Names::knocks),
        asked.into_iter(),
        |subject, _, found| {
            if let (Some(knocks), Some(knock)) = (all.get_mut(&subject), found.knock()) {
                knocks.packets += knock.count.packets;
                let ago = SignedDuration::try_from(at.saturating_duration_since(knock.last));
                let last = ago.ok().and_then(|ago| now.checked_sub(ago).ok());
                knocks.last = knocks.last.max(last);
            }
        },
    )?;
    Ok(all.into_values().collect())
}
