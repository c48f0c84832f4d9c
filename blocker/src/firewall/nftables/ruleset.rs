//! The table: what is laid into the kernel before the first ban, and taken out after the last.
//!
//! ```text
//! table inet blocker {
//!     set allowed-ipv4 { type ipv4_addr; flags interval; }
//!     set jail-mail-ipv4 { type ipv4_addr; flags timeout; }
//!     set jail-mail-ipv4-knocks { type ipv4_addr; size 1048576; flags dynamic,timeout; timeout 365d; }
//!     set jail-mail-ipv4-24 { type ipv4_addr; flags timeout; }
//!     set jail-mail-ipv4-24-knocks { type ipv4_addr; size 1048576; flags dynamic,timeout; timeout 365d; }
//!     counter jail-mail-ipv4-dropped { … }
//!     counter jail-mail-ipv4-allowed { … }
//!     chain prerouting {
//!         type filter hook prerouting priority raw; policy accept;
//!         meta nfproto ipv4 goto packets-ipv4
//!     }
//!     chain packets-ipv4 {
//!         ip frag-off & 0x1fff != 0 goto fragments-ipv4
//!         tcp dport 25 jump scope-0-ipv4
//!     }
//!     chain fragments-ipv4 {
//!         meta l4proto tcp jump scope-0-ipv4
//!     }
//!     chain scope-0-ipv4 {
//!         jump jail-mail-ipv4
//!     }
//!     chain jail-mail-ipv4 {
//!         ip saddr @jail-mail-ipv4 goto jail-mail-ipv4-knocks
//!         ip saddr & 255.255.255.0 @jail-mail-ipv4-24 goto jail-mail-ipv4-24-knocks
//!     }
//!     chain jail-mail-ipv4-knocks {
//!         update @jail-mail-ipv4-knocks { ip saddr counter }
//!         goto jail-mail-ipv4-banned
//!     }
//!     chain jail-mail-ipv4-24-knocks {
//!         update @jail-mail-ipv4-24-knocks { ip saddr & 255.255.255.0 counter }
//!         goto jail-mail-ipv4-banned
//!     }
//!     chain jail-mail-ipv4-banned {
//!         ip saddr @allowed-ipv4 counter name "jail-mail-ipv4-allowed" accept
//!         counter name "jail-mail-ipv4-dropped" drop
//!     }
//! }
//! ```
//!
//! And the same for IPv6. Where [`Hook::Ingress`] is wanted, chains `ingress-0`, `ingress-1`, … take the place of `prerouting`, one for each
//! interface: `type filter hook ingress device "eth0" priority raw; policy accept;`. The first chain comes before connection tracking, so that a dropped packet leaves no trace
//! there, and before any translation of destination ports. A packet that no ban can cover is asked for its port once for
//! each scope, however many jails share it, and for nothing else.
//!
//! Who is banned and still knocks is in the sets of knocks, each with its packets and a timeout that begins anew with each. The elements
//! of the bans themselves count nothing: that would cost a ban 9 µs to make, memory for every processor that the machine may have,
//! and `last`, which tells the time in them, ends every `nft` before 1.0.7 that lists the table with a segmentation fault. A packet
//! for which a set of knocks has no room is dropped without being counted there.
//!
//! Without connection tracking nothing has put fragments together there. The first carries the ports and is treated like a
//! packet; the others do not say where they go, and are held to be covered by every scope that has any port of their
//! protocol. They leave before the ports are compared, since kernels before 5.18 would take their contents for ports.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::net::{Ipv4Addr, Ipv6Addr};

use blocker_common::map::Outcome;
use blocker_common::packet::{Family, Protocol};
use jiff::Timestamp;
use nftnl::expr::{Lookup, Verdict};
use nftnl::set::{Set, SetKey};
use nftnl::{Chain, MsgType, ProtoFamily, Table};

use super::allowed::{self, Interval};
use super::bans::Bans;
use super::hook::Hook;
use super::knocks::Before;
use super::names::{self, Names, TABLE};
use super::rule::Draft;
use super::sets::{Place, Sets};
use super::socket::Socket;
use super::sys::{Count, Counter, Holds, let_hold};
use super::transaction::{Failure, Transaction};
use crate::ban::{Change, JailId, Scope};
use crate::firewall::JailScope;

const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// What a table is to be.
#[derive(Clone, Copy)]
pub struct Layout<'a> {
    /// The jails.
    pub jails: &'a [JailScope],
    /// What is called after each.
    pub names: &'a [Names],
    /// The allowlist.
    pub allowed: &'a [Interval],
    /// From where counters go on, by their names.
    pub counts: &'a HashMap<CString, Count>,
    /// Whether banned packets are only counted, and pass.
    pub count_only: bool,
    /// Where packets are looked at.
    pub hook: &'a Hook,
    /// The interfaces that this is tied to and that there are.
    pub interfaces: &'a [String],
    /// What bans have covered before.
    pub before: &'a Before,
}

/// Lays the table in place of any that is there, with these bans in it, in one transaction: at no time is there none, or one without
/// its bans. Returns what it holds.
pub fn lay(socket: &Socket, layout: Layout<'_>, bans: &[Change], now: Timestamp) -> Result<Bans, Failure> {
    let Layout {
        jails, names, allowed, ..
    } = layout;
    let table = table();
    let mut transaction = Transaction::new();
    clear(&mut transaction, &table);
    transaction.add(0, &table, MsgType::Add);
    if layout.count_only {
        let (name, start) = (names::DRY_RUN, Count::default());
        transaction.add(0, &Counter { name, start }, MsgType::Add);
    }
    let mut sets = Sets::default();
    let scopes = scopes(jails, names);
    // A rule that names a chain or a set must come after it.
    for family in Family::ALL {
        let list = add_set(
            &mut transaction,
            0,
            &table,
            family,
            names::allowed(family),
            Holds::Intervals,
        );
        for names in names {
            lay_banned(&mut transaction, &table, names, family, (&list, layout));
            let chain = Chain::new(names.chain(family), &table);
            transaction.add(0, &chain, MsgType::Add);
        }
        lay_packets(&mut transaction, &table, &scopes, family);
    }
    for (jail, names) in (0..).map(JailId).zip(names) {
        for place in Place::usual(jail) {
            sets.name_or_lay(place, || lay_set(&mut transaction, 0, names, place));
        }
    }
    for chain in layout.hook.lay(&mut transaction, &table, layout.interfaces) {
        for family in Family::ALL {
            let rule = Draft::new(&chain).of(family).then(goto(names::packets(family)));
            transaction.add(0, &rule, MsgType::Add);
        }
    }
    allowed::replace(&mut transaction, allowed);
    let bans = Bans::fill(&mut transaction, sets, (names, layout.before), bans, now);
    transaction.commit(socket)?;
    Ok(bans)
}

/// The messages that [`lay_set`] adds at most.
pub const SET_MESSAGES: usize = 6;

/// Adds a set of bans, the rule that looks up sources in it, and the set of those that still knock. Returns the set's name.
pub fn lay_set(transaction: &mut Transaction, part: usize, names: &Names, place: Place) -> CString {
    let Place { family, prefix_len, .. } = place;
    let table = table();
    let knocks = names.knocks(family, prefix_len);
    add_set(transaction, part, &table, family, &knocks, Holds::Knocks);
    let chain = Chain::new(&knocks, &table);
    transaction.add(part, &chain, MsgType::Add);
    let rule = Draft::new(&chain).enter(family, prefix_len, &knocks);
    transaction.add(part, &rule, MsgType::Add);
    let rule = Draft::new(&chain).then(goto(&names.banned(family)));
    transaction.add(part, &rule, MsgType::Add);

    let name = names.set(family, prefix_len);
    let set = add_set(transaction, part, &table, family, &name, Holds::Expiring);
    let chain = Chain::new(names.chain(family), &table);
    let rule = Draft::new(&chain).from(family, prefix_len, &set).then(goto(&knocks));
    transaction.add(part, &rule, MsgType::Add);
    name
}

/// Takes the table out, if it is there.
pub fn remove(socket: &Socket) -> Result<(), Failure> {
    let mut transaction = Transaction::new();
    clear(&mut transaction, &table());
    transaction.commit(socket)
}

/// Removes the table. Removing one that is not there is an error, so it is made first.
fn clear(transaction: &mut Transaction, table: &Table) {
    transaction.add(0, table, MsgType::Add);
    transaction.add(0, table, MsgType::Del);
}

/// What becomes of a jail's banned packets.
fn lay_banned(
    transaction: &mut Transaction,
    table: &Table,
    names: &Names,
    family: Family,
    (allowed, layout): (&Lookup, Layout<'_>),
) {
    let counters = Outcome::ALL.map(|outcome| names.counter(family, outcome));
    for name in &counters {
        let start = layout.counts.get(name).copied().unwrap_or_default();
        transaction.add(0, &Counter { name, start }, MsgType::Add);
    }
    let [dropped, passed, would_drop] = &counters;
    let chain = Chain::new(names.banned(family), table);
    transaction.add(0, &chain, MsgType::Add);
    let all_bits = match family {
        Family::Ipv4 => 32,
        Family::Ipv6 => 128,
    };
    let rule = Draft::new(&chain)
        .from(family, all_bits, allowed)
        .count(passed)
        .then(Verdict::Accept);
    transaction.add(0, &rule, MsgType::Add);
    let rule = if layout.count_only {
        Draft::new(&chain).count(would_drop).then(Verdict::Accept)
    } else {
        Draft::new(&chain).count(dropped).then(Verdict::Drop)
    };
    transaction.add(0, &rule, MsgType::Add);
}

/// Which jails a family's packets are held against.
fn lay_packets(transaction: &mut Transaction, table: &Table, scopes: &[(&Scope, Vec<&Names>)], family: Family) {
    let packets = Chain::new(names::packets(family), table);
    let fragments = Chain::new(names::fragments(family), table);
    transaction.add(0, &packets, MsgType::Add);
    transaction.add(0, &fragments, MsgType::Add);
    let rule = Draft::new(&packets)
        .later_fragment(family)
        .then(goto(names::fragments(family)));
    transaction.add(0, &rule, MsgType::Add);
    for (n, (scope, jails)) in scopes.iter().enumerate() {
        let name = names::scope(n, family);
        let chain = Chain::new(&name, table);
        transaction.add(0, &chain, MsgType::Add);
        for names in jails {
            let rule = Draft::new(&chain).then(jump(&names.chain(family)));
            transaction.add(0, &rule, MsgType::Add);
        }
        for protocol in PROTOCOLS {
            let ports = scope.ports(protocol);
            for ports in ports {
                let rule = Draft::new(&packets).to(protocol, ports).then(jump(&name));
                transaction.add(0, &rule, MsgType::Add);
            }
            if !ports.is_empty() {
                let rule = Draft::new(&fragments).carrying(protocol).then(jump(&name));
                transaction.add(0, &rule, MsgType::Add);
            }
        }
    }
}

/// The scopes that there are, each with its jails.
fn scopes<'a>(jails: &'a [JailScope], names: &'a [Names]) -> Vec<(&'a Scope, Vec<&'a Names>)> {
    let mut scopes = Vec::<(&Scope, Vec<&Names>)>::new();
    for (JailScope { scope, .. }, names) in jails.iter().zip(names) {
        match scopes.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, jails)) => jails.push(names),
            None => scopes.push((scope, vec![names])),
        }
    }
    scopes
}

fn table() -> Table {
    Table::new(TABLE, ProtoFamily::Inet)
}

fn jump(chain: &CStr) -> Verdict {
    Verdict::Jump {
        chain: chain.to_owned(),
    }
}

fn goto(chain: &CStr) -> Verdict {
    Verdict::Goto {
        chain: chain.to_owned(),
    }
}

/// Adds a set, and returns what looks it up.
fn add_set(
    transaction: &mut Transaction,
    part: usize,
    table: &Table,
    family: Family,
    name: &CStr,
    holds: Holds,
) -> Lookup {
    match family {
        Family::Ipv4 => add_set_of::<Ipv4Addr>(transaction, part, table, name, holds),
        Family::Ipv6 => add_set_of::<Ipv6Addr>(transaction, part, table, name, holds),
    }
}

fn add_set_of<K: SetKey>(
    transaction: &mut Transaction,
    part: usize,
    table: &Table,
    name: &CStr,
    holds: Holds,
) -> Lookup {
    // The number is for rules that look up a set without a name.
    let mut set = Set::<K>::new_named(name, 0, table, ProtoFamily::Inet);
    let_hold(&mut set, holds);
    transaction.add(part, &set, MsgType::Add);
    Lookup::new(&set)
}
