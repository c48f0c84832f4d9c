//! The XDP program: fetches bytes and tables for [`blocker_common::verdict`], and counts what it says.
//!
//! No decision is made here. Whoever wants to change what is dropped changes the verdict, where it can be tested on the host.
#![no_std]
#![no_main]
#![expect(internal_features, reason = "see below")]
// To add atomically is an instruction of BPF; Rust offers it as a method only where there is compare-and-swap too, and as an intrinsic.
#![feature(core_intrinsics)]
#![expect(
    unsafe_code,
    reason = "a program in the kernel reads packets and maps through raw pointers"
)]
#![allow(
    missing_docs,
    reason = "the xdp macro wraps its function in another, without the docs"
)]

mod maps;
mod packet;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::debug;
use blocker_common::map::{Ban, Outcome};
use blocker_common::packet::Unparsed;
use blocker_common::verdict::{Act, Banned, judge};

use crate::maps::KernelTables;
use crate::packet::Frame;

/// Of the packets that one ban covers, one in so many is told of.
const SAMPLE: u32 = 1024;

/// Entry point. `frags` says that the program copes with frames spread over several buffers (kernel 5.18).
#[xdp(frags)]
pub fn blocker(ctx: XdpContext) -> u32 {
    let frame = Frame::new(&ctx);
    judge(
        &frame,
        &KernelTables,
        &Xdp {
            ctx: &ctx,
            frame: &frame,
        },
    )
}

/// Carries verdicts out on a frame.
struct Xdp<'a> {
    ctx: &'a XdpContext,
    frame: &'a Frame<'a>,
}

impl Act<*mut Ban> for Xdp<'_> {
    type Done = u32;

    #[inline(always)]
    fn pass(&self) -> u32 {
        XDP_PASS
    }

    #[inline(always)]
    fn pass_unparsed(&self, reason: Unparsed) -> u32 {
        maps::count_unparsed(reason);
        XDP_PASS
    }

    #[inline(always)]
    fn banned(&self, banned: Banned<*mut Ban>) -> u32 {
        let packets = maps::count(&banned, self.frame.len(banned.end));
        if packets < Ban::MOST_PACKETS && packets % SAMPLE == 0 {
            tell(self.ctx, packets, banned.jail.into());
        }
        match banned.outcome {
            Outcome::Dropped => XDP_DROP,
            Outcome::Allowed | Outcome::WouldDrop => XDP_PASS,
        }
    }
}

/// Tells the agent of a packet that a ban covers, apart from the way that all of them take.
#[inline(never)]
fn tell(ctx: &XdpContext, packets: u32, jail: u32) {
    // Compiled in, and removed by the verifier as dead code unless the agent asks for debug logging.
    debug!(ctx, "packet {} that a ban of jail {} covers", packets + 1, jail);
}

/// The kernel's helpers are for programs under a GPL-compatible licence; MIT OR Apache-2.0 alone is not named as one by the
/// kernel (`include/linux/license.h`), "Dual MIT/GPL" is.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
