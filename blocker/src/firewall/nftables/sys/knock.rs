//! Sets in which packets enter their sources by themselves: one element for each source, with a counter, and with a timeout that every
//! packet sets anew and that so says when the latest came.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use nftnl::Rule;
use nftnl::expr::Expression;
use nftnl_sys::{libc, nftnl_expr};

use super::{Count, allocated};

/// How long the kernel keeps an element after its latest packet.
pub(super) const KEPT: Duration = Duration::from_secs(365 * 86_400);

/// How many elements such a set has at most. The kernel takes memory for those only that are there.
pub(super) const MOST: u32 = 1 << 20;

/// Packets of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knock {
    /// How many.
    pub count: Count,
    /// When the latest came.
    pub last: Instant,
}

impl Knock {
    /// From what an element has counted, and the time that is left to it.
    pub(super) fn read(count: Count, left: Duration) -> Option<Self> {
        let last = Instant::now().checked_sub(KEPT.saturating_sub(left))?;
        Some(Self { count, last })
    }

    /// The time that is left to its element. Kernels may round less than a tick of their clock down to none, and take none for ever.
    pub(super) fn left(&self) -> Duration {
        KEPT.saturating_sub(self.last.elapsed()).max(Duration::from_millis(10))
    }
}

/// In a rule, behind what has read a source: enters it, or counts on. A packet for which the set has no room does not get any further in
/// the rule.
pub struct Enter<'a> {
    /// The set's name.
    pub set: &'a CStr,
}

impl Expression for Enter<'_> {
    fn to_expr(&self, _rule: &Rule<'_>) -> NonNull<nftnl_expr> {
        // SAFETY: the expression copies the name and takes the counter over; the rule that asked for it takes it over in turn.
        unsafe {
            let enter = allocated(nftnl_sys::nftnl_expr_alloc(c"dynset".as_ptr()));
            let register = libc::NFT_REG_1 as u32;
            nftnl_sys::nftnl_expr_set_u32(enter, nftnl_sys::NFTNL_EXPR_DYNSET_SREG_KEY as u16, register);
            let operation = libc::NFT_DYNSET_OP_UPDATE as u32;
            nftnl_sys::nftnl_expr_set_u32(enter, nftnl_sys::NFTNL_EXPR_DYNSET_OP as u16, operation);
            let name = nftnl_sys::NFTNL_EXPR_DYNSET_SET_NAME as u16;
            nftnl_sys::nftnl_expr_set_str(enter, name, self.set.as_ptr());
            let expression = nftnl_sys::NFTNL_EXPR_DYNSET_EXPR;
            nftnl_sys::nftnl_expr_add_expr(enter, expression, counter(Count::default()));
            NonNull::new_unchecked(enter)
        }
    }
}

/// A counter without a name. Whoever asks takes it over.
pub(super) fn counter(start: Count) -> *mut nftnl_expr {
    // SAFETY: the expression is alive and holds numbers only.
    unsafe {
        let counter = allocated(nftnl_sys::nftnl_expr_alloc(c"counter".as_ptr()));
        if start != Count::default() {
            nftnl_sys::nftnl_expr_set_u64(counter, nftnl_sys::NFTNL_EXPR_CTR_PACKETS as u16, start.packets);
            nftnl_sys::nftnl_expr_set_u64(counter, nftnl_sys::NFTNL_EXPR_CTR_BYTES as u16, start.bytes);
        }
        counter
    }
}

/// What an element's counter says; nothing where it has none.
///
/// # Safety
///
/// The element must be alive.
pub(super) unsafe fn count(element: *mut nftnl_sys::nftnl_set_elem) -> Count {
    let mut count = Count::default();
    // SAFETY: the caller answers for the element; `note` gets what it asks for, and the count outlives the call.
    unsafe { nftnl_sys::nftnl_set_elem_expr_foreach(element, Some(note), (&raw mut count).cast()) };
    count
}

/// Notes what one expression says, if it is a counter.
///
/// # Safety
///
/// The expression must be alive, and `count` point to a [`Count`] that nobody else uses.
unsafe extern "C" fn note(expression: *mut nftnl_expr, count: *mut c_void) -> c_int {
    let (packets, bytes) = (
        nftnl_sys::NFTNL_EXPR_CTR_PACKETS as u16,
        nftnl_sys::NFTNL_EXPR_CTR_BYTES as u16,
    );
    // SAFETY: the caller answers for both. Values are read of a counter only, since other expressions use the same numbers for others.
    unsafe {
        let name = nftnl_sys::nftnl_expr_get_str(expression, nftnl_sys::NFTNL_EXPR_NAME as u16);
        if !name.is_null() && CStr::from_ptr(name) == c"counter" {
            *count.cast::<Count>() = Count {
                packets: nftnl_sys::nftnl_expr_get_u64(expression, packets),
                bytes: nftnl_sys::nftnl_expr_get_u64(expression, bytes),
            };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_s_timeout_says_when_its_latest_packet_came() {
        let ago = Duration::from_secs(90);
        let knock = Knock::read(Count::default(), KEPT - ago).unwrap();
        let elapsed = knock.last.elapsed();
        assert!(elapsed >= ago && elapsed < ago * 2, "{elapsed:?}");
        assert!(knock.left() <= KEPT - ago && knock.left() > KEPT - ago * 2);
    }
}
