//! The XDP program: fetches bytes and tables for [`blocker_common::verdict`], and counts what it says.
//!
//! No decision is made here. Whoever wants to change what is dropped changes the verdict, where it can be tested on the host.
#![no_std]
#![no_main]
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
use blocker_common::verdict::{Verdict, verdict};

use crate::maps::KernelTables;
use crate::packet::Frame;

/// Entry point. `frags` says that the program copes with frames spread over several buffers (kernel 5.18): all headers it reads
/// lie in the first.
#[xdp(frags)]
pub fn blocker(ctx: XdpContext) -> u32 {
    let frame = Frame::new(&ctx);
    match verdict(&frame, &KernelTables) {
        Verdict::Pass => XDP_PASS,
        Verdict::PassUnparsed(layer) => {
            maps::count_unparsed(layer);
            XDP_PASS
        }
        Verdict::Drop { jail, family } => {
            maps::count_drop(jail, family, frame.len());
            // Compiled in, and removed by the verifier as dead code unless the agent asks for debug logging.
            debug!(&ctx, "dropped {} bytes for jail {}", frame.len(), jail);
            XDP_DROP
        }
    }
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
