//! The table: what is laid into the kernel before the first ban, and taken out after the last.
//!
//! ```text
//! table inet blocker {
//!     counter jail-mail-ipv4 { … }
//!     set jail-mail-ipv4 { type ipv4_addr; flags timeout; }
//!     chain prerouting {
//!         type filter hook prerouting priority raw; policy accept;
//!         meta nfproto ipv4 tcp dport 25 ip saddr @jail-mail-ipv4 counter name "jail-mail-ipv4" drop
//!     }
//! }
//! ```
//!
//! The chain comes before connection tracking, so that a dropped packet leaves no trace there, and before any
//! translation of destination ports. A packet that no ban can cover leaves each rule at the family, the protocol or the
//! port, before the set.

use std::ffi::CStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use blocker_common::packet::Family;
use nftnl::set::{Set, SetKey};
use nftnl::{Chain, ChainType, Hook, MsgType, Policy, ProtoFamily, Rule, Table, nft_expr};
use nix::libc::{IPPROTO_TCP, NFPROTO_IPV4, NFPROTO_IPV6};

use super::names::{CHAIN, FAMILIES, Names, TABLE};
use super::socket::Socket;
use super::sys::{Counter, let_elements_expire};
use super::transaction::{Failure, Transaction};
use crate::ban::Protocol;
use crate::firewall::JailScope;

/// The kernel's `NF_IP_PRI_RAW`: before connection tracking.
const RAW: i32 = -300;

/// Lays the table with empty sets, in place of any that is there, in one transaction.
pub fn lay(socket: &Socket, jails: &[JailScope], names: &[Names]) -> Result<(), Failure> {
    let table = Table::new(TABLE, ProtoFamily::Inet);
    let mut transaction = Transaction::new();
    clear(&mut transaction, &table);
    transaction.add(0, &table, MsgType::Add);

    let mut chain = Chain::new(CHAIN, &table);
    chain.set_type(ChainType::Filter);
    chain.set_hook(Hook::PreRouting, RAW);
    chain.set_policy(Policy::Accept);
    transaction.add(0, &chain, MsgType::Add);

    let mut ids = 1..;
    for (jail, names) in jails.iter().zip(names) {
        let Protocol::Tcp = jail.scope.protocol;
        for (family, id) in FAMILIES.into_iter().zip(&mut ids) {
            let name = names.of(family);
            transaction.add(0, &Counter { name }, MsgType::Add);
            let ports = &jail.scope.ports;
            match family {
                Family::Ipv4 => enforce(
                    &mut transaction,
                    &chain,
                    &set::<Ipv4Addr>(name, id, &table),
                    family,
                    ports,
                ),
                Family::Ipv6 => enforce(
                    &mut transaction,
                    &chain,
                    &set::<Ipv6Addr>(name, id, &table),
                    family,
                    ports,
                ),
            }
        }
    }
    transaction.commit(socket)
}

/// Takes the table out, if it is there.
pub fn remove(socket: &Socket) -> Result<(), Failure> {
    let mut transaction = Transaction::new();
    clear(&mut transaction, &Table::new(TABLE, ProtoFamily::Inet));
    transaction.commit(socket)
}

/// Removes the table. Removing one that is not there is an error, so it is made first.
fn clear(transaction: &mut Transaction, table: &Table) {
    transaction.add(0, table, MsgType::Add);
    transaction.add(0, table, MsgType::Del);
}

fn set<'a, K: SetKey>(name: &CStr, id: u32, table: &'a Table) -> Set<'a, K> {
    let mut set = Set::new_named(name, id, table, ProtoFamily::Inet);
    let_elements_expire(&mut set);
    set
}

/// Adds the set, and a rule for each range of ports that drops what comes from its addresses.
fn enforce<K>(
    transaction: &mut Transaction,
    chain: &Chain<'_>,
    set: &Set<'_, K>,
    family: Family,
    ports: &[RangeInclusive<u16>],
) {
    transaction.add(0, set, MsgType::Add);
    for range in ports {
        let mut rule = Rule::new(chain);
        rule.add_expr(&nft_expr!(meta nfproto));
        rule.add_expr(&nft_expr!(
            cmp == match family {
                Family::Ipv4 => NFPROTO_IPV4 as u8,
                Family::Ipv6 => NFPROTO_IPV6 as u8,
            }
        ));
        rule.add_expr(&nft_expr!(meta l4proto));
        rule.add_expr(&nft_expr!(cmp == IPPROTO_TCP as u8));
        rule.add_expr(&nft_expr!(payload tcp dport));
        if range.start() == range.end() {
            rule.add_expr(&nft_expr!(cmp == range.start().to_be()));
        } else {
            rule.add_expr(&nft_expr!(cmp >= range.start().to_be()));
            rule.add_expr(&nft_expr!(cmp <= range.end().to_be()));
        }
        match family {
            Family::Ipv4 => rule.add_expr(&nft_expr!(payload ipv4 saddr)),
            Family::Ipv6 => rule.add_expr(&nft_expr!(payload ipv6 saddr)),
        }
        rule.add_expr(&nft_expr!(lookup set));
        rule.add_expr(&Counter { name: set.get_name() });
        rule.add_expr(&nft_expr!(verdict drop));
        transaction.add(0, &rule, MsgType::Add);
    }
}
