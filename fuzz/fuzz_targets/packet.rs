//! Frames: any bytes through the packet parser, which is the kernel program's own.
//!
//! Whose packet it is and where it goes must be read from the frame, and from behind an Ethernet and an IP header.
#![no_main]

use blocker_common::packet::{Family, Parsed, parse};
use libfuzzer_sys::fuzz_target;

const ETHERNET: usize = 14;

fuzz_target!(|data: &[u8]| {
    let Parsed::Packet(packet) = parse(data) else {
        return;
    };
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
});
