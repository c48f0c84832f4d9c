use std::cell::Cell;
use std::collections::HashMap;

use etherparse::PacketBuilder;

use super::*;
use crate::map::{Ban, Terms};

const SPAMMER: [u8; 4] = [192, 0, 2, 7];
const SPAMMER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const SMTP: Scopes = 0b001;
const SUBMISSION: Scopes = 0b010;
const SIP: Scopes = 0b100;
const JAIL: u16 = 3;

/// Port 25 of TCP in one scope, 587 in another, 5060 of UDP in a third.
#[derive(Default)]
struct Memory {
    now: u32,
    dry_run: bool,
    /// By address and prefix length; a host has all bits.
    bans: HashMap<(Octets, u8), Ban>,
    ends: HashMap<u32, Ends>,
    allowed: Vec<Octets>,
    clock_reads: Cell<u32>,
    bans_read: Cell<u32>,
    allowlist_reads: Cell<u32>,
}

/// An address that can be a key.
type Octets = [u8; 16];

fn v4(octets: [u8; 4]) -> Octets {
    *Address::ipv4(octets).octets()
}

/// The first bits of an address, and zeros.
fn network(address: &Address, prefix_len: u8) -> Octets {
    let all = u128::from_be_bytes(*address.octets());
    let rest = u128::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    (all & !rest).to_be_bytes()
}

impl Memory {
    fn at(now: u32) -> Self {
        Self { now, ..Self::default() }
    }

    fn with(mut self, address: Octets, prefix_len: u8, until: u32, scope: Scopes) -> Self {
        let ban = Ban {
            until,
            packets: 0,
            last_packet: 0,
            terms: Terms::one(prefix_len, scope.trailing_zeros() as u8, JAIL),
        };
        self.bans.insert((address, prefix_len), ban);
        self
    }

    fn held(&self, address: Octets, prefix_len: u8) -> Option<Held<(Octets, u8)>> {
        self.bans_read.set(self.bans_read.get() + 1);
        let place = (address, prefix_len);
        self.bans.get(&place).map(|ban| Held { ban: *ban, place })
    }

    fn has(&self, full: u8, is: impl Fn(u8) -> bool) -> bool {
        self.bans
            .keys()
            .any(|(_, prefix_len)| is(*prefix_len) && *prefix_len != full)
    }
}

impl Tables for Memory {
    type Place = (Octets, u8);

    fn settings(&self) -> Settings {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        Settings {
            tcp: SMTP | SUBMISSION,
            udp: SIP,
            in_use: flag(self.has(32, |len| len < 32), Settings::IPV4_NETWORKS)
                | flag(self.has(128, |len| len != 32 && len != 64), Settings::IPV6_NETWORKS)
                | flag(self.bans.keys().any(|(_, len)| *len == 128), Settings::IPV6_HOSTS),
            dry_run: self.dry_run.into(),
        }
    }

    fn port_scopes(&self, protocol: Protocol, port: u16) -> Scopes {
        match (protocol, port) {
            (Protocol::Tcp, 25) => SMTP,
            (Protocol::Tcp, 587) => SUBMISSION,
            (Protocol::Udp, 5060) => SIP,
            _ => 0,
        }
    }

    fn ipv4_host(&self, source: &Address) -> Option<Held<Self::Place>> {
        self.held(*source.octets(), 32)
    }

    fn ipv6_subnet(&self, source: &Address) -> Option<Held<Self::Place>> {
        self.held(network(source, 64), 64)
    }

    fn ipv6_host(&self, source: &Address) -> Option<Held<Self::Place>> {
        self.held(*source.octets(), 128)
    }

    fn network(&self, source: &Address, prefix_len: u8) -> Option<Held<Self::Place>> {
        let around = |len| self.held(network(source, len), len);
        let hosts = if source.family() == Family::Ipv4 {
            [32, 32]
        } else {
            [64, 128]
        };
        (0..=prefix_len)
            .rev()
            .filter(|len| !hosts.contains(len))
            .find_map(around)
    }

    fn ends(&self, key: u32) -> Option<&Ends> {
        self.ends.get(&key)
    }

    fn is_allowed(&self, source: &Address) -> bool {
        self.allowlist_reads.set(self.allowlist_reads.get() + 1);
        self.allowed.contains(source.octets())
    }

    fn now(&self) -> u32 {
        self.clock_reads.set(self.clock_reads.get() + 1);
        self.now
    }
}

/// The spammer is banned on port 25 until the 1,000th tick, by either IP version.
fn one_ban(now: u32) -> Memory {
    let banned = Memory::at(now).with(v4(SPAMMER), 32, 1_000, SMTP);
    banned.with(SPAMMER_V6, 128, 1_000, SMTP)
}

fn tcp(source: [u8; 4], port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(source, [192, 0, 2, 25], 64);
    builder.tcp(40_000, port, 1, 1024).write(&mut frame, &[]).unwrap();
    frame
}

fn udp(source: [u8; 4], port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(source, [192, 0, 2, 25], 64);
    builder.udp(40_000, port).write(&mut frame, &[]).unwrap();
    frame
}

fn tcp_v6(source: [u8; 16], port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(source, [1; 16], 64);
    builder.tcp(40_000, port, 1, 1024).write(&mut frame, &[]).unwrap();
    frame
}

/// What became of the packet, for which jail, by a ban on how many bits; none where it passed without one.
fn judge(frame: &[u8], tables: &Memory) -> Option<(Outcome, u16, u8)> {
    let fact = |verdict: Verdict<(Octets, u8)>| match verdict {
        Verdict::Pass => None,
        Verdict::PassUnparsed(reason) => panic!("unparsed: {reason:?}"),
        Verdict::Banned(banned) => Some((banned.outcome, banned.jail, banned.place.1)),
    };
    let at_once = fact(verdict(frame, tables));
    assert_eq!(at_once, fact(verdict(&Piecemeal(frame), tables)), "the long way round");
    at_once
}

/// A frame of which nothing is to be had at once.
struct Piecemeal<'a>(&'a [u8]);

impl Bytes for Piecemeal<'_> {
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.array(offset)
    }

    fn head<const N: usize>(&self) -> Option<[u8; N]> {
        None
    }
}

fn dropped(bits: u8) -> Option<(Outcome, u16, u8)> {
    Some((Outcome::Dropped, JAIL, bits))
}

#[test]
fn a_banned_host_is_dropped_on_the_port_of_its_ban() {
    let tables = one_ban(0);
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), dropped(32));
    assert_eq!(judge(&tcp_v6(SPAMMER_V6, 25), &tables), dropped(128));
}

#[test]
fn a_banned_host_passes_on_a_port_of_another_scope_and_protocol() {
    let tables = one_ban(0);
    for frame in [
        tcp(SPAMMER, 587),
        udp(SPAMMER, 5060),
        udp(SPAMMER, 25),
        tcp(SPAMMER, 5060),
    ] {
        assert_eq!(judge(&frame, &tables), None);
    }
}

#[test]
fn a_port_in_no_scope_costs_no_look_up_of_the_ban() {
    let tables = one_ban(0);
    assert_eq!(judge(&tcp(SPAMMER, 22), &tables), None);
    assert_eq!(tables.bans_read.get(), 0);
}

#[test]
fn an_honest_host_passes_without_clock_and_allowlist_being_read() {
    let tables = one_ban(0);
    assert_eq!(judge(&tcp([192, 0, 2, 8], 25), &tables), None);
    assert_eq!((tables.clock_reads.get(), tables.allowlist_reads.get()), (0, 0));
    assert_eq!(
        tables.bans_read.get(),
        2,
        "once each way: networks are not looked at while there are none"
    );
}

#[test]
fn a_ban_ends_at_its_end() {
    let judge = |now| judge(&tcp(SPAMMER, 25), &one_ban(now));
    assert_eq!(judge(999), dropped(32));
    assert_eq!(judge(1_000), None);
    assert_eq!(judge(1_001), None);
}

#[test]
fn a_ban_for_ever_does_not_end() {
    let tables = Memory::at(Ban::FOREVER - 1).with(v4(SPAMMER), 32, Ban::FOREVER, SMTP);
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), dropped(32));
}

#[test]
fn the_allowlist_wins_over_every_ban() {
    let mut tables = one_ban(0);
    tables.allowed = vec![v4(SPAMMER)];
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), Some((Outcome::Allowed, JAIL, 32)));
    assert_eq!(judge(&tcp_v6(SPAMMER_V6, 25), &tables), dropped(128));
}

#[test]
fn the_allowlist_is_not_asked_about_a_ban_that_is_clear_of_it() {
    let mut tables = one_ban(0);
    let ban = tables.bans.get_mut(&(v4(SPAMMER), 32)).unwrap();
    ban.terms = ban.terms.with_clear(true);
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), dropped(32));
    assert_eq!(tables.allowlist_reads.get(), 0);
}

#[test]
fn a_plain_packet_says_where_it_ends() {
    let mut tables = one_ban(0);
    for ban in tables.bans.values_mut() {
        ban.terms = ban.terms.with_clear(true);
    }
    let ends = |frame: &[u8]| match verdict(frame, &tables) {
        Verdict::Banned(banned) => banned.end,
        other => panic!("{other:?}"),
    };
    let mut padded = tcp(SPAMMER, 25);
    let len = padded.len();
    padded.resize(60, 0);
    assert_eq!(ends(&padded), Some(len));
    let frame = tcp_v6(SPAMMER_V6, 25);
    assert_eq!(ends(&frame), None, "hosts of IPv6 are looked up in a second map");
}

#[test]
fn a_dry_run_drops_nothing_and_says_what_it_would() {
    let mut tables = one_ban(0);
    tables.dry_run = true;
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), Some((Outcome::WouldDrop, JAIL, 32)));
}

#[test]
fn a_banned_network_covers_its_hosts_and_no_others() {
    let tables = Memory::at(0).with(v4([192, 0, 2, 0]), 24, 9, SMTP);
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), dropped(24));
    assert_eq!(judge(&tcp([192, 0, 3, 7], 25), &tables), None);
}

#[test]
fn an_ipv6_ban_of_64_bits_covers_the_subscriber() {
    let mut network = SPAMMER_V6;
    network[8..].fill(0);
    let tables = Memory::at(0).with(network, 64, 9, SMTP);
    let mut neighbour = SPAMMER_V6;
    neighbour[8..].fill(0xab);
    assert_eq!(judge(&tcp_v6(neighbour, 25), &tables), dropped(64));
    neighbour[7] ^= 1;
    assert_eq!(judge(&tcp_v6(neighbour, 25), &tables), None);
}

#[test]
fn a_wider_network_counts_where_the_narrower_bans_do_not() {
    // The host's ban is over, the narrow network's is for another port.
    let tables = Memory::at(5)
        .with(v4(SPAMMER), 32, 5, SMTP)
        .with(v4([192, 0, 2, 0]), 24, 9, SUBMISSION)
        .with(v4([192, 0, 0, 0]), 16, 9, SMTP);
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), dropped(16));
    assert_eq!(judge(&tcp(SPAMMER, 587), &tables), dropped(24));
}

#[test]
fn networks_are_looked_at_to_a_bounded_depth() {
    let mut tables = Memory::at(5).with(v4([0; 4]), 0, 9, SMTP);
    for prefix_len in 32 - MAX_NESTED as u8..32 {
        let around = network(&Address::ipv4(SPAMMER), prefix_len);
        tables = tables.with(around, prefix_len, 5, SMTP);
    }
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), None);
    tables.bans.remove(&(network(&Address::ipv4(SPAMMER), 31), 31));
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), dropped(0));
}

#[test]
fn each_scope_of_a_ban_keeps_its_own_end_and_jail() {
    let mut tables = Memory::at(5).with(v4(SPAMMER), 32, 9, SMTP);
    tables.bans.get_mut(&(v4(SPAMMER), 32)).unwrap().terms = Terms::several(32, 77);
    assert_eq!(
        judge(&tcp(SPAMMER, 25), &tables),
        None,
        "fails open where the ends are lost"
    );
    let mut ends = Ends::NONE;
    (ends.until[0], ends.jails[0]) = (5, 1);
    (ends.until[1], ends.jails[1]) = (9, 2);
    tables.ends.insert(77, ends);
    assert_eq!(judge(&tcp(SPAMMER, 25), &tables), None);
    assert_eq!(judge(&tcp(SPAMMER, 587), &tables), Some((Outcome::Dropped, 2, 32)));
}

#[test]
fn a_later_fragment_is_dropped_when_its_protocol_is_that_of_the_scope() {
    let later = |mut frame: Vec<u8>| {
        frame[14 + 7] = 1;
        frame
    };
    let tables = one_ban(0);
    assert_eq!(judge(&later(tcp(SPAMMER, 22)), &tables), dropped(32));
    assert_eq!(judge(&later(udp(SPAMMER, 22)), &tables), None);
    assert_eq!(judge(&later(tcp([192, 0, 2, 8], 25)), &tables), None);
    let tables = Memory::at(0).with(v4(SPAMMER), 32, 9, SIP);
    assert_eq!(judge(&later(udp(SPAMMER, 22)), &tables), dropped(32));
}

#[test]
fn what_cannot_be_parsed_passes_and_says_so() {
    let frame = tcp(SPAMMER, 25);
    assert_eq!(
        verdict(&frame[..30], &one_ban(0)),
        Verdict::PassUnparsed(Unparsed::Ipv4)
    );
}
