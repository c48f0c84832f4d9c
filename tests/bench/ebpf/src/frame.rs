//! Access to a frame that lies in one buffer.

use aya_ebpf::programs::XdpContext;

/// Length of an Ethernet header without tags.
pub const ETHERNET_LEN: usize = 14;
/// Length of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Length of an IPv6 header.
pub const IPV6_LEN: usize = 40;

/// A pointer to a value in the frame; none where the frame ends before.
#[inline(always)]
pub fn at<T>(ctx: &XdpContext, offset: usize) -> Option<*mut T> {
    let start = ctx.data() + offset;
    (start + size_of::<T>() <= ctx.data_end()).then_some(start as *mut T)
}

/// The bytes at a place in the frame.
#[inline(always)]
pub fn bytes<const N: usize>(ctx: &XdpContext, offset: usize) -> Option<[u8; N]> {
    let place = at::<[u8; N]>(ctx, offset)?;
    // SAFETY: it lies within the frame; bytes need no alignment.
    Some(unsafe { *place })
}
