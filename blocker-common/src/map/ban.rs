//! What the kernel holds for a banned host or network.

use super::Scopes;

/// What the kernel holds for a banned host or network.
///
/// The agent replaces it as a whole; the program reads it and adds to its counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// End of the ban in nanoseconds of `CLOCK_MONOTONIC`; [`Ban::FOREVER`] never comes. Where scopes end at different times, the
    /// latest end.
    pub until: u64,
    /// Packets that it covered since it was made.
    pub packets: u64,
    /// When the latest of them came, in nanoseconds of `CLOCK_MONOTONIC`; 0 before the first.
    pub last_packet: u64,
    /// Scopes that the ban covers.
    pub scopes: Scopes,
    /// Key into [`ENDS`](super::ENDS), where scopes end at different times or count for different jails; 0 where they do not.
    pub ends: u32,
    /// Index of the jail that packets are counted for, below [`MAX_JAILS`](super::MAX_JAILS).
    pub jail: u16,
    /// Length of the network's prefix in bits; that of the whole address for a host.
    pub prefix_len: u8,
    /// Zeros up to a whole word.
    pub zeros: [u8; 5],
}

impl Ban {
    /// The `until` of a ban without an end: in 292 years.
    pub const FOREVER: u64 = i64::MAX as u64;
}
