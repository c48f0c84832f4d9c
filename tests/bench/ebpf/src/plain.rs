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

/// What was read of a frame.
enum Source {
    Ipv4([u8; 4]),
    /// Its first 64 bits.
    Ipv6([u8; 8]),
}

pub fn parse(ctx: &XdpContext) -> u32 {
    match read(ctx) {
        // A port that no frame has, so that reading it is not left out.
        Some((_, 0)) => XDP_DROP,
        Some(_) | None => XDP_PASS,
    }
}

pub fn look_up(ctx: &XdpContext) -> u32 {
    let Some((source, _)) = read(ctx) else {
        return XDP_PASS;
    };
    // SAFETY: what is found is read once, and every bit pattern is a value.
    let until = unsafe {
        match &source {
            Source::Ipv4(key) => UNTIL_IPV4.get(key),
            Source::Ipv6(key) => UNTIL_IPV6.get(key),
        }
    };
    let Some(until) = until else {
        return XDP_PASS;
    };
    // SAFETY: the helper takes nothing and cannot fail.
    if *until <= unsafe { bpf_ktime_get_coarse_ns() } {
        return XDP_PASS;
    }
    XDP_DROP
}

#[inline(always)]
fn read(ctx: &XdpContext) -> Option<(Source, u16)> {
    let (source, transport) = match u16::from_be_bytes(bytes(ctx, ETHERNET_LEN - 2)?) {
        IPV4 => {
            let header = bytes::<IPV4_LEN>(ctx, ETHERNET_LEN)?;
            if header[9] != TCP {
                return None;
            }
            let source = Source::Ipv4([header[12], header[13], header[14], header[15]]);
            (source, ETHERNET_LEN + (usize::from(header[0] & 0x0f) << 2))
        }
        IPV6 => {
            if bytes::<1>(ctx, ETHERNET_LEN + 6)? != [TCP] {
                return None;
            }
            (Source::Ipv6(bytes(ctx, ETHERNET_LEN + 8)?), ETHERNET_LEN + IPV6_LEN)
        }
        _ => return None,
    };
    let port = u16::from_be_bytes(bytes(ctx, transport + 2)?);
    Some((source, port))
}
