//! Frames: any bytes through the packet parser, which is the kernel program's own.
//!
//! Whose packet it is and where it goes must be read from the frame, from behind an Ethernet and an IP header, and as an
//! independent parser reads it.
#![no_main]

use blocker_common::packet::{Address, Family, MAX_EXTENSION_HEADERS, Packet, Parsed, Protocol, parse, plain_ipv4, plain_ipv6};
use libfuzzer_sys::fuzz_target;

#[path = "../../blocker-common/src/packet/tests/independent.rs"]
mod independent;

const ETHERNET: usize = 14;

fuzz_target!(|data: &[u8]| {
    independent::check(data);
    if let Parsed::Packet(packet) = parse(data) {
        is_the_frames_own(&packet, data);
    }
});

fn is_the_frames_own(packet: &Packet, data: &[u8]) {
    let source = match packet.source.family() {
        Family::Ipv4 => packet.source.ipv4_octets().to_vec(),
        Family::Ipv6 => packet.source.octets().to_vec(),
    };
    let has = |part: &[u8], from: usize| data[from..].windows(part.len()).any(|window| window == part);
    let address = match packet.source.family() {
        Family::Ipv4 => ETHERNET + 12,
        Family::Ipv6 => ETHERNET + 8,
    };
    assert!(has(&source, address), "the source stands nowhere in the frame");
    let ports = address + 2 * source.len();
    if let Some(port) = packet.destination_port {
        assert!(
            has(&port.to_be_bytes(), ports),
            "the port stands nowhere behind the addresses"
        );
    }
}
