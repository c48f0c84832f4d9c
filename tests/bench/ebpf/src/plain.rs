//! What no firewall can leave out: to read a frame as far as its port, to look its source up, to ask whether the time is over.
//!
//! No VLAN tags, no fragments, no counters, no allowlist, no scopes.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::btf_maps::HashMap;
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::btf_map;
use aya_ebpf::programs::XdpContext;

use crate::frame::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN, bytes};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;

/// The end of each source's ban, in nanoseconds of `CLOCK_MONOTONIC`. The bench says how many there are.
#[btf_map]
static UNTIL_IPV4: HashMap<[u8; 4], u64, 1> = HashMap::new();
#[btf_map]
static UNTIL_IPV6: HashMap<[u8; 8], u64, 1> = HashMap::new();

pub fn parse(ctx: &XdpContext) -> u32 {
    let port = match ether_type(ctx) {
        Some(IPV4) => read_ipv4(ctx).map(|(_, port)| port),
        Some(IPV6) => read_ipv6(ctx).map(|(_, port)| port),
        _ => None,
    };
    match port {
        // A port that no frame has, so that reading it is not left out.
        Some(0) => XDP_DROP,
        Some(_) | None => XDP_PASS,
    }
}

/// Knows IPv4 alone; a program that knows both takes no less.
pub fn look_up_ipv4(ctx: &XdpContext) -> u32 {
    if ether_type(ctx) != Some(IPV4) {
        return XDP_PASS;
    }
    let Some((source, _)) = read_ipv4(ctx) else {
        return XDP_PASS;
    };
    // SAFETY: what is found is read once, and every bit pattern is a value.
    verdict(unsafe { UNTIL_IPV4.get(&source) })
}

/// The same for IPv6, by the source's first 64 bits.
pub fn look_up_ipv6(ctx: &XdpContext) -> u32 {
    if ether_type(ctx) != Some(IPV6) {
        return XDP_PASS;
    }
    let Some((source, _)) = read_ipv6(ctx) else {
        return XDP_PASS;
    };
    // SAFETY: as above.
    verdict(unsafe { UNTIL_IPV6.get(&source) })
}

#[inline(always)]
fn verdict(until: Option<&u64>) -> u32 {
    match until {
        // SAFETY: the helper takes nothing and cannot fail.
        Some(until) if *until > unsafe { bpf_ktime_get_coarse_ns() } => XDP_DROP,
        Some(_) | None => XDP_PASS,
    }
}

#[inline(always)]
fn ether_type(ctx: &XdpContext) -> Option<u16> {
    Some(u16::from_be_bytes(bytes(ctx, ETHERNET_LEN - 2)?))
}

/// Source and port.
#[inline(always)]
fn read_ipv4(ctx: &XdpContext) -> Option<([u8; 4], u16)> {
    let header = bytes::<IPV4_LEN>(ctx, ETHERNET_LEN)?;
    if header[9] != TCP {
        return None;
    }
    let transport = ETHERNET_LEN + (usize::from(header[0] & 0x0f) << 2);
    let port = u16::from_be_bytes(bytes(ctx, transport + 2)?);
    Some(([header[12], header[13], header[14], header[15]], port))
}

/// The source's first 64 bits, and the port.
#[inline(always)]
fn read_ipv6(ctx: &XdpContext) -> Option<([u8; 8], u16)> {
    if bytes::<1>(ctx, ETHERNET_LEN + 6)? != [TCP] {
        return None;
    }
    let port = u16::from_be_bytes(bytes(ctx, ETHERNET_LEN + IPV6_LEN + 2)?);
    Some((bytes(ctx, ETHERNET_LEN + 8)?, port))
}
