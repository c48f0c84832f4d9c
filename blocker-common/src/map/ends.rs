//! When each scope of a ban ends, where they do not all end together.

use super::{MAX_SCOPES, Scopes};

/// When each scope of a ban ends, and the jail that packets to it are counted for. What is not covered ended at 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Ends, by the scope's bit, as in [`Ban::until`](super::Ban::until), but in words of twice the length: of shorter ones the compiler
    /// would make the branches that are to be avoided below.
    pub until: [u64; MAX_SCOPES],
    /// Jails, by the scope's bit.
    pub jails: [u16; MAX_SCOPES],
}

impl Ends {
    /// No scope is covered.
    pub const NONE: Self = Self {
        until: [0; MAX_SCOPES],
        jails: [0; MAX_SCOPES],
    };

    /// The jail of a ban in force on any of the scopes, `now` in [ticks](super::ticks).
    ///
    /// Without a branch for each scope: the verifier would follow both ways of every one, up to the millions.
    #[inline(always)]
    #[must_use]
    pub fn in_force(&self, scopes: Scopes, now: u32) -> Option<u16> {
        let mut in_force = 0;
        for (bit, until) in self.until.iter().enumerate() {
            // The sign of the difference: both are less than half of what a word holds.
            in_force |= ((u64::from(now).wrapping_sub(*until) >> 63) as Scopes) << bit;
        }
        let bit = (in_force & scopes).trailing_zeros() as usize;
        // Masked, so that the verifier sees the bound.
        (bit < MAX_SCOPES).then(|| self.jails[bit % MAX_SCOPES])
    }
}
