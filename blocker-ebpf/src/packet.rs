//! Access to a frame, as the parser's [`Bytes`].

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use blocker_common::packet::Bytes;

/// A frame as the driver received it.
pub struct Frame<'a> {
    ctx: &'a XdpContext,
    start: usize,
    end: usize,
}

impl<'a> Frame<'a> {
    /// The frame that the program was called for.
    #[inline(always)]
    pub fn new(ctx: &'a XdpContext) -> Self {
        Self {
            ctx,
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// Bytes in all buffers of the frame, whose packet goes up to `end` if that is known.
    ///
    /// A packet that ends within the first buffer has no other, and the kernel need not be asked.
    #[inline(always)]
    pub fn len(&self, end: Option<usize>) -> usize {
        let here = self.end - self.start;
        if end.is_some_and(|end| end <= here) {
            return here;
        }
        // SAFETY: the context is the one that the kernel handed to this call of the program.
        unsafe { bpf_xdp_get_buff_len(self.ctx.as_ptr().cast()) as usize }
    }
}

impl Bytes for Frame<'_> {
    #[inline(always)]
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let at = self.start + offset;
        if at + N > self.end {
            return self.from_any_buffer(offset);
        }
        // SAFETY: `at` to `at + N` lies within the packet, checked above in the form that the verifier recognises; a byte array
        // needs no alignment.
        Some(unsafe { *(at as *const [u8; N]) })
    }

    #[inline(always)]
    fn head<const N: usize>(&self) -> Option<[u8; N]> {
        // SAFETY: the bytes lie within the packet; otherwise as above.
        (self.start + N <= self.end).then(|| unsafe { *(self.start as *const [u8; N]) })
    }
}

impl Frame<'_> {
    /// Bytes that the first buffer does not hold whole: headers may lie behind it where the card splits a frame, and an attacker
    /// can write IPv6 extension headers until they do.
    #[inline(always)]
    fn from_any_buffer<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        // SAFETY: the helper writes `N` bytes to where there is room for `N`, or fails.
        let result = unsafe {
            bpf_xdp_load_bytes(
                self.ctx.as_ptr().cast(),
                offset as u32,
                bytes.as_mut_ptr().cast(),
                N as u32,
            )
        };
        // SAFETY: the helper has written all of them.
        (result == 0).then(|| unsafe { bytes.assume_init() })
    }
}
