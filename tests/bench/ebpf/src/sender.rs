//! One frame, from another source each time.
//!
//! The kernel runs a program on one and the same frame as often as it is asked to, and what a run has written there the next one
//! finds. So each run writes the source of the next host, and calls the program that is measured by a tail call, which costs a few
//! nanoseconds and is the same for whatever is called.
//!
//! The hosts are gone through in steps of more than half of them: each comes once before any comes twice, and two that follow each other lie far apart
//! in every table.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::Global;
use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::btf_maps::ProgramArray;
use aya_ebpf::macros::btf_map;
use aya_ebpf::programs::XdpContext;

use crate::frame::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN, at};

/// Where the four bytes lie that make a host: an IPv4 source as a whole, of an IPv6 source those behind the first 32 bits.
const SOURCE: usize = 26;
const _: () = assert!(SOURCE == ETHERNET_LEN + 12 && SOURCE == ETHERNET_LEN + 8 + 4);
/// Where the checksums lie.
const IPV4_CHECKSUM: usize = ETHERNET_LEN + 10;
const TCP_CHECKSUM: usize = 16;

/// How many hosts there are.
#[unsafe(no_mangle)]
static HOSTS: Global<u32> = Global::new(1);
/// The number of the first.
#[unsafe(no_mangle)]
static FIRST: Global<u32> = Global::new(0);
/// From one host to the next.
#[unsafe(no_mangle)]
static STEP: Global<u32> = Global::new(1);
/// 4 or 6.
#[unsafe(no_mangle)]
static VERSION: Global<u32> = Global::new(4);
/// Sums over what the checksums cover, without the four bytes.
#[unsafe(no_mangle)]
static IP_SUM: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static TCP_SUM: Global<u32> = Global::new(0);

/// The host that is next. Beside it a whole line of the cache is left free.
static mut NEXT: [u32; 16] = [0; 16];

/// Holds the program that is measured; with none the frame passes.
#[btf_map]
static MEASURED: ProgramArray<1> = ProgramArray::new();

#[inline(always)]
pub fn send(ctx: &XdpContext) -> u32 {
    if write_source(ctx).is_some() {
        // SAFETY: what is called ends this program, which holds nothing.
        unsafe { MEASURED.tail_call(ctx, 0) };
    }
    XDP_PASS
}

#[inline(always)]
fn write_source(ctx: &XdpContext) -> Option<()> {
    let (transport, is_ipv4) = match VERSION.load() {
        4 => (ETHERNET_LEN + IPV4_LEN, true),
        _ => (ETHERNET_LEN + IPV6_LEN, false),
    };
    let source = at::<[u8; 4]>(ctx, SOURCE)?;
    let tcp_checksum = at::<[u8; 2]>(ctx, transport + TCP_CHECKSUM)?;
    let address = address(FIRST.load() + next());
    let halves = (address >> 16) + (address & 0xffff);
    // SAFETY: all lie within the frame, and bytes need no alignment.
    unsafe {
        *source = address.to_be_bytes();
        *tcp_checksum = folded(TCP_SUM.load() + halves);
    }
    if is_ipv4 {
        let ip_checksum = at::<[u8; 2]>(ctx, IPV4_CHECKSUM)?;
        // SAFETY: as above.
        unsafe { *ip_checksum = folded(IP_SUM.load() + halves) };
    }
    Some(())
}

/// The host of this number, as `address` in the bench's `hosts.rs`.
#[inline(always)]
const fn address(number: u32) -> u32 {
    0x2d00_0000 | (number.wrapping_mul(0x9e_3779) & 0x00ff_ffff)
}

#[inline(always)]
fn next() -> u32 {
    // SAFETY: a bench runs one sender at a time.
    unsafe {
        let place = (&raw mut NEXT).cast::<u32>();
        let host = read_volatile(place);
        let next = host + STEP.load();
        let hosts = HOSTS.load();
        write_volatile(place, if next >= hosts { next - hosts } else { next });
        host
    }
}

/// RFC 1071.
#[inline(always)]
const fn folded(sum: u32) -> [u8; 2] {
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    (!(sum as u16)).to_be_bytes()
}
