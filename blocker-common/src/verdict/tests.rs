use std::cell::Cell;

use etherparse::PacketBuilder;

use super::*;

const SPAMMER: [u8; 4] = [192, 0, 2, 7];
const SPAMMER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const SMTP: Scopes = 0b01;
const SUBMISSION: Scopes = 0b10;

/// Port 25 in one scope, 587 in another; the spammer is banned in the first until 1,000 ns.
struct OneBan {
    now: u64,
    clock_reads: Cell<u32>,
    bans_read: Cell<u32>,
}

impl OneBan {
    fn at(now: u64) -> Self {
        Self {
            now,
            clock_reads: Cell::new(0),
            bans_read: Cell::new(0),
        }
    }
}

impl Tables for OneBan {
    fn tcp_scopes(&self, port: u16) -> Scopes {
        match port {
            25 => SMTP,
            587 => SUBMISSION,
            _ => 0,
        }
    }

    fn ban(&self, source: &Address) -> Option<Ban> {
        self.bans_read.set(self.bans_read.get() + 1);
        let banned = [Address::ipv4(SPAMMER), Address::ipv6(SPAMMER_V6)].contains(source);
        banned.then_some(Ban {
            until: 1_000,
            scopes: SMTP,
            jail: 3,
        })
    }

    fn now(&self) -> u64 {
        self.clock_reads.set(self.clock_reads.get() + 1);
        self.now
    }
}

fn tcp(source: [u8; 4], port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(source, [192, 0, 2, 25], 64);
    builder.tcp(40_000, port, 1, 1024).write(&mut frame, &[]).unwrap();
    frame
}

fn tcp_v6(source: [u8; 16], port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(source, [1; 16], 64);
    builder.tcp(40_000, port, 1, 1024).write(&mut frame, &[]).unwrap();
    frame
}

fn dropped(family: Family) -> Verdict {
    Verdict::Drop { jail: 3, family }
}

#[test]
fn a_banned_host_is_dropped_on_the_port_of_its_ban() {
    let tables = OneBan::at(0);
    assert_eq!(verdict(tcp(SPAMMER, 25).as_slice(), &tables), dropped(Family::Ipv4));
    assert_eq!(
        verdict(tcp_v6(SPAMMER_V6, 25).as_slice(), &tables),
        dropped(Family::Ipv6)
    );
}

#[test]
fn a_banned_host_passes_on_a_port_of_another_scope() {
    assert_eq!(verdict(tcp(SPAMMER, 587).as_slice(), &OneBan::at(0)), Verdict::Pass);
}

#[test]
fn a_port_in_no_scope_costs_no_look_up_of_the_ban() {
    let tables = OneBan::at(0);
    assert_eq!(verdict(tcp(SPAMMER, 22).as_slice(), &tables), Verdict::Pass);
    assert_eq!(tables.bans_read.get(), 0);
}

#[test]
fn an_honest_host_passes_without_the_clock_being_read() {
    let tables = OneBan::at(0);
    assert_eq!(verdict(tcp([192, 0, 2, 8], 25).as_slice(), &tables), Verdict::Pass);
    assert_eq!(tables.clock_reads.get(), 0);
}

#[test]
fn a_ban_ends_at_its_end() {
    let judge = |now| verdict(tcp(SPAMMER, 25).as_slice(), &OneBan::at(now));
    assert_eq!(judge(999), dropped(Family::Ipv4));
    assert_eq!(judge(1_000), Verdict::Pass);
    assert_eq!(judge(1_001), Verdict::Pass);
}

#[test]
fn what_cannot_be_parsed_passes_and_says_so() {
    let frame = tcp(SPAMMER, 25);
    assert_eq!(
        verdict(&frame[..30], &OneBan::at(0)),
        Verdict::PassUnparsed(Unparsed::Ipv4)
    );
}
