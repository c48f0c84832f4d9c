//! The verdict on a packet, as a pure function of the packet and the tables.
//!
//! The port is looked up first: a packet to a port in no scope costs one array look-up and nothing else. Clock and allowlist are
//! asked only once a ban was hit, so honest traffic does not pay for them. Networks are looked at only where there are any, from the
//! narrowest to the widest: the first ban in force counts.

use crate::map::{Ban, Covered, Ends, MAX_NESTED, Outcome, Scopes, Settings};
use crate::packet::{Address, Bytes, Family, Packet, Parsed, Plain, Protocol, Unparsed, parse, plain_ipv4, plain_ipv6};

/// A ban as a table holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<Place> {
    /// The ban, in force or not, as it was when it was looked up.
    pub ban: Ban,
    /// Where it lies, so that the packet can be counted there.
    pub place: Place,
}

/// The tables and the clock that a verdict consults.
pub trait Tables {
    /// Where a ban lies.
    type Place: Copy;

    /// What holds for all packets.
    fn settings(&self) -> Settings;
    /// Scopes that the port belongs to.
    fn port_scopes(&self, protocol: Protocol, port: u16) -> Scopes;
    /// What is held for an IPv4 address.
    fn ipv4_host(&self, source: &Address) -> Option<Held<Self::Place>>;
    /// What is held for an IPv6 address's network of 64 bits.
    fn ipv6_subnet(&self, source: &Address) -> Option<Held<Self::Place>>;
    /// What is held for an IPv6 address.
    fn ipv6_host(&self, source: &Address) -> Option<Held<Self::Place>>;
    /// What is held for the narrowest network around an address whose prefix has at most `prefix_len` bits.
    fn network(&self, source: &Address, prefix_len: u8) -> Option<Held<Self::Place>>;
    /// When the scopes of a ban end, by their key.
    fn ends(&self, key: u32) -> Option<&Ends>;
    /// Whether the allowlist covers an address.
    fn is_allowed(&self, source: &Address) -> bool;
    /// Now, in [ticks](crate::map::ticks).
    fn now(&self) -> u32;
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<Place> {
    /// It goes on to the kernel's own stack.
    Pass,
    /// It goes on because it could not be parsed: blocker fails open.
    PassUnparsed(Unparsed),
    /// A ban covers it.
    Banned(Banned<Place>),
}

/// A packet that a ban covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banned<Place> {
    /// Whether it is dropped.
    pub outcome: Outcome,
    /// Index of the jail that it counts for.
    pub jail: u16,
    /// The packet's IP version.
    pub family: Family,
    /// Where the ban lies that covers it.
    pub place: Place,
    /// When it came, in [ticks](crate::map::ticks).
    pub time: u32,
    /// Bytes of its frame up to its end, as its IP header has it; none where that has not been looked at.
    pub end: Option<usize>,
}

/// Carries verdicts out.
///
/// It has a function for each, and they are compiled anew into each way to one. Where ways come together, some with a place and some
/// without, the verifier sees words that are now a pointer and now a number, or that nobody has set, and rejects the program. And a call
/// of a function costs a packet that passes a third of what else it costs, where the kernel guards each return against speculation.
pub trait Act<Place> {
    /// What comes of it.
    type Done;

    /// See [`Verdict::Pass`].
    fn pass(&self) -> Self::Done;
    /// See [`Verdict::PassUnparsed`].
    fn pass_unparsed(&self, reason: Unparsed) -> Self::Done;
    /// See [`Verdict::Banned`].
    fn banned(&self, banned: Banned<Place>) -> Self::Done;
}

/// Only says what the verdict is.
struct Say;

impl<Place> Act<Place> for Say {
    type Done = Verdict<Place>;

    fn pass(&self) -> Verdict<Place> {
        Verdict::Pass
    }

    fn pass_unparsed(&self, reason: Unparsed) -> Verdict<Place> {
        Verdict::PassUnparsed(reason)
    }

    fn banned(&self, banned: Banned<Place>) -> Verdict<Place> {
        Verdict::Banned(banned)
    }
}

/// Judges a frame.
#[inline(always)]
pub fn verdict<T: Tables>(frame: &(impl Bytes + ?Sized), tables: &T) -> Verdict<T::Place> {
    judge(frame, tables, &Say)
}

/// Judges a frame, and does what is to be done then.
#[inline(always)]
pub fn judge<T: Tables, A: Act<T::Place>>(frame: &(impl Bytes + ?Sized), tables: &T, act: &A) -> A::Done {
    // What nearly all packets are, and nearly all tables say of them, has a way of its own through the program: short, and with
    // everything in registers. What follows comes to the same.
    if let Some(done) = plain_ipv4(frame).and_then(|packet| at_once(&packet, frame, tables, act)) {
        return done;
    }
    if let Some(done) = plain_ipv6(frame).and_then(|packet| at_once(&packet, frame, tables, act)) {
        return done;
    }
    match parse(frame) {
        Parsed::Packet(packet) => match of_packet(&packet, tables) {
            Some(banned) => act.banned(banned),
            None => act.pass(),
        },
        Parsed::Foreign => act.pass(),
        Parsed::Unparsed(reason) => act.pass_unparsed(reason),
    }
}

/// Judges a packet where one look-up settles it; `None` where there is more to look at, and in a dry run.
#[inline(always)]
fn at_once<T: Tables, A: Act<T::Place>>(
    packet: &Plain,
    frame: &(impl Bytes + ?Sized),
    tables: &T,
    act: &A,
) -> Option<A::Done> {
    let scopes = tables.port_scopes(packet.protocol, packet.destination_port);
    if scopes == 0 {
        return Some(act.pass());
    }
    let settings = tables.settings();
    let source = &packet.source(frame)?;
    let found = match source.family() {
        Family::Ipv4 if settings.in_use & Settings::IPV4_NETWORKS == 0 => tables.ipv4_host(source),
        Family::Ipv6 if settings.in_use & (Settings::IPV6_HOSTS | Settings::IPV6_NETWORKS) == 0 => {
            tables.ipv6_subnet(source)
        }
        Family::Ipv4 | Family::Ipv6 => return None,
    };
    let Some(held) = found else {
        return Some(act.pass());
    };
    let terms = held.ban.terms;
    if matches!(terms.covered(), Covered::Several { .. }) || !terms.is_clear() || settings.dry_run != 0 {
        return None;
    }
    Some(match in_force(&held, scopes, tables) {
        Some(covering) => act.banned(banned(&covering, source, Some(packet.end), &settings, tables)),
        None => act.pass(),
    })
}

#[inline(always)]
fn of_packet<T: Tables>(packet: &Packet, tables: &T) -> Option<Banned<T::Place>> {
    let scopes = match packet.destination_port {
        Some(port) => tables.port_scopes(packet.protocol, port),
        None => tables.settings().scopes(packet.protocol),
    };
    if scopes == 0 {
        return None;
    }
    let settings = tables.settings();
    let source = &packet.source;
    let found = match source.family() {
        Family::Ipv4 => of_ipv4(source, scopes, &settings, tables),
        Family::Ipv6 => of_ipv6(source, scopes, &settings, tables),
    };
    found.map(|covering| banned(&covering, source, None, &settings, tables))
}

#[inline(always)]
fn banned<T: Tables>(
    covering: &Covering<T::Place>,
    source: &Address,
    end: Option<usize>,
    settings: &Settings,
    tables: &T,
) -> Banned<T::Place> {
    let outcome = if !covering.is_clear && tables.is_allowed(source) {
        Outcome::Allowed
    } else if settings.dry_run != 0 {
        Outcome::WouldDrop
    } else {
        Outcome::Dropped
    };
    Banned {
        outcome,
        jail: covering.jail,
        family: source.family(),
        place: covering.place,
        time: covering.time,
        end,
    }
}

/// A ban in force on a packet.
struct Covering<Place> {
    place: Place,
    jail: u16,
    time: u32,
    is_clear: bool,
}

#[inline(always)]
fn of_ipv4<T: Tables>(source: &Address, scopes: Scopes, settings: &Settings, tables: &T) -> Option<Covering<T::Place>> {
    if let Some(held) = tables.ipv4_host(source)
        && let Some(covering) = in_force(&held, scopes, tables)
    {
        return Some(covering);
    }
    if settings.in_use & Settings::IPV4_NETWORKS == 0 {
        return None;
    }
    of_networks(source, 32, scopes, tables)
}

#[inline(always)]
fn of_ipv6<T: Tables>(source: &Address, scopes: Scopes, settings: &Settings, tables: &T) -> Option<Covering<T::Place>> {
    if let Some(held) = tables.ipv6_subnet(source)
        && let Some(covering) = in_force(&held, scopes, tables)
    {
        return Some(covering);
    }
    if settings.in_use & Settings::IPV6_HOSTS != 0
        && let Some(held) = tables.ipv6_host(source)
        && let Some(covering) = in_force(&held, scopes, tables)
    {
        return Some(covering);
    }
    if settings.in_use & Settings::IPV6_NETWORKS == 0 {
        return None;
    }
    of_networks(source, 128, scopes, tables)
}

/// A trie finds the narrowest network; where its ban is over or for other ports, the next wider one is asked for.
#[inline(always)]
fn of_networks<T: Tables>(
    source: &Address,
    mut prefix_len: u8,
    scopes: Scopes,
    tables: &T,
) -> Option<Covering<T::Place>> {
    for _ in 0..MAX_NESTED {
        let held = tables.network(source, prefix_len)?;
        if let Some(covering) = in_force(&held, scopes, tables) {
            return Some(covering);
        }
        prefix_len = held.ban.terms.prefix_len().checked_sub(1)?;
    }
    None
}

#[inline(always)]
fn in_force<T: Tables>(held: &Held<T::Place>, scopes: Scopes, tables: &T) -> Option<Covering<T::Place>> {
    let Held { ban, place } = held;
    let covered = ban.terms.covered();
    if let Covered::One { scope, .. } = covered
        && scopes & scope == 0
    {
        return None;
    }
    let time = tables.now();
    if ban.until <= time {
        return None;
    }
    let jail = match covered {
        Covered::One { jail, .. } => jail,
        Covered::Several { ends } => tables.ends(ends)?.in_force(scopes, time)?,
    };
    Some(Covering {
        place: *place,
        jail,
        time,
        is_clear: ban.terms.is_clear(),
    })
}

#[cfg(test)]
mod tests;
