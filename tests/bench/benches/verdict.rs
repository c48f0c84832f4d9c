//! The verdict on a frame, as the pure function that it is, over tables in the agent's own memory: without the kernel's maps, whose share
//! the bench `packet` measures.

use std::collections::HashMap;
use std::hint::black_box;

use anyhow::Result;
use blocker_common::map::{Ban, Ends, Scopes, Settings, Terms};
use blocker_common::packet::{Address, Protocol};
use blocker_common::verdict::{Held, Tables, verdict};
use criterion::Criterion;
use etherparse::PacketBuilder;

const SMTP: Scopes = 1;
const BANS: u32 = 10_000;

/// Port 25 in one scope, and bans of hosts.
struct Memory(HashMap<[u8; 4], Ban>);

impl Tables for Memory {
    type Place = ();

    fn settings(&self) -> Settings {
        Settings {
            tcp: SMTP,
            ..Settings::default()
        }
    }

    fn port_scopes(&self, protocol: Protocol, port: u16) -> Scopes {
        if (protocol, port) == (Protocol::Tcp, 25) {
            SMTP
        } else {
            0
        }
    }

    fn ipv4_host(&self, source: &Address) -> Option<Held<()>> {
        let ban = self.0.get(&source.ipv4_octets())?;
        Some(Held { ban: *ban, place: () })
    }

    fn ipv6_subnet(&self, _: &Address) -> Option<Held<()>> {
        None
    }

    fn ipv6_host(&self, _: &Address) -> Option<Held<()>> {
        None
    }

    fn network(&self, _: &Address, _: u8) -> Option<Held<()>> {
        None
    }

    fn ends(&self, _: u32) -> Option<&Ends> {
        None
    }

    fn is_allowed(&self, _: &Address) -> bool {
        false
    }

    fn now(&self) -> u32 {
        1
    }
}

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let ban = Ban {
        until: Ban::FOREVER,
        packets: 0,
        last_packet: 0,
        terms: Terms::one(32, SMTP.trailing_zeros() as u8, 0),
    };
    let tables = Memory(
        (0..BANS)
            .map(|host| ((0x0a00_0000 + host).to_be_bytes(), ban))
            .collect(),
    );
    let mut group = criterion.benchmark_group("verdict");
    for (name, source, port) in [
        ("another port", [10, 0, 0, 7], 443),
        ("unknown", [192, 0, 2, 7], 25),
        ("banned", [10, 0, 0, 7], 25),
    ] {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(source, [192, 0, 2, 25], 64);
        builder.tcp(40_000, port, 1, 1024).write(&mut frame, &[])?;
        group.bench_function(name, |bencher| bencher.iter(|| verdict(black_box(&frame[..]), &tables)));
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
