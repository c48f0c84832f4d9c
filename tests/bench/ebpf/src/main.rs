//! Programs that measure in the kernel, and simple ones to be measured against.
//!
//! `sender` ([`sender`]) makes of one frame that is run again and again a stream of frames from many sources, which is what makes a
//! look-up cost what it costs on a relay under attack: memory that no cache has. It hands each frame on to the program that is
//! measured. The others ([`plain`]) do what no program can leave out, and nothing else.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "programs in the kernel read packets and maps through raw pointers"
)]
#![allow(
    missing_docs,
    reason = "the xdp macro wraps its function in another, without the docs"
)]

mod frame;
mod plain;
mod sender;

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;

/// Nothing at all: what the kernel's loop takes to call a program.
#[xdp]
pub fn nothing(_: XdpContext) -> u32 {
    XDP_PASS
}

/// The same for those that are called by `sender_frags`.
#[xdp(frags)]
pub fn nothing_frags(_: XdpContext) -> u32 {
    XDP_PASS
}

/// Reads a frame as far as its port.
#[xdp]
pub fn parse(ctx: XdpContext) -> u32 {
    plain::parse(&ctx)
}

/// Looks a frame's source up, and drops it until its time is over.
#[xdp]
pub fn look_up_ipv4(ctx: XdpContext) -> u32 {
    plain::look_up_ipv4(&ctx)
}

/// The same for IPv6.
#[xdp]
pub fn look_up_ipv6(ctx: XdpContext) -> u32 {
    plain::look_up_ipv6(&ctx)
}

/// Gives the frame another source, and hands it on.
#[xdp]
pub fn sender(ctx: XdpContext) -> u32 {
    sender::send(&ctx)
}

/// The same, for programs that cope with frames in several buffers: the kernel lets the two kinds not call each other.
#[xdp(frags)]
pub fn sender_frags(ctx: XdpContext) -> u32 {
    sender::send(&ctx)
}

/// As blocker's own program: some of the kernel's helpers are for a GPL-compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
