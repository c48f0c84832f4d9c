//! Direct access to a frame's first buffer, as the parser's [`Bytes`].

use aya_ebpf::programs::XdpContext;
use blocker_common::packet::Bytes;

/// A frame as the driver received it.
pub struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    /// The frame that the program was called for.
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// Bytes in the first buffer: of a frame in one piece, all.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

impl Bytes for Frame {
    #[inline(always)]
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let at = self.start + offset;
        if at + N > self.end {
            return None;
        }
        // SAFETY: `at` to `at + N` lies within the packet, checked above in the form that the verifier recognises; a byte array
        // needs no alignment.
        Some(unsafe { *(at as *const [u8; N]) })
    }
}
