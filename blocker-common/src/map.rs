//! Layout of the BPF maps, as kernel and agent see it.
//!
//! | map | kind | key | value |
//! |---|---|---|---|
//! | [`BANS_IPV4`] | hash | address, 4 bytes in network order | [`Ban`] |
//! | [`BANS_IPV6`] | hash | address, 16 bytes in network order | [`Ban`] |
//! | [`TCP_PORTS`] | array of [`PORTS`] | destination port | the [`Scopes`] it belongs to |
//! | [`DROPS`] | per-CPU array of [`DROP_SLOTS`] | [`drop_slot`] | [`Counter`] |
//! | [`UNPARSED`] | per-CPU array | [`Unparsed`](crate::packet::Unparsed) | packets |

use crate::packet::Family;

/// Map of the banned IPv4 addresses.
pub const BANS_IPV4: &str = "BANS_IPV4";
/// Map of the banned IPv6 addresses.
pub const BANS_IPV6: &str = "BANS_IPV6";
/// Map from TCP destination port to the scopes it belongs to.
pub const TCP_PORTS: &str = "TCP_PORTS";
/// Map of what was dropped, by jail and family.
pub const DROPS: &str = "DROPS";
/// Map of what passed because it could not be parsed.
pub const UNPARSED: &str = "UNPARSED";

/// Entries of [`TCP_PORTS`]: one for each port there is.
pub const PORTS: usize = 1 << 16;
/// Distinct scopes that the kernel can tell apart: the bits of [`Scopes`].
pub const MAX_SCOPES: usize = 32;
/// Jails that the kernel counts for.
pub const MAX_JAILS: usize = 256;
/// Entries of [`DROPS`]: each jail counts IPv4 and IPv6 apart.
pub const DROP_SLOTS: usize = MAX_JAILS * 2;
/// Entries of a ban map where the agent does not say otherwise.
pub const DEFAULT_BANS: usize = 100_000;

/// A set of scopes, one bit each.
pub type Scopes = u32;

/// What the kernel holds for a banned address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// End of the ban in nanoseconds of `CLOCK_MONOTONIC`; [`Ban::FOREVER`] never comes.
    pub until: u64,
    /// Scopes that the ban covers.
    pub scopes: Scopes,
    /// Index of the jail that the drops are counted for, below [`MAX_JAILS`].
    pub jail: u32,
}

impl Ban {
    /// The `until` of a ban without an end.
    pub const FOREVER: u64 = u64::MAX;
}

/// Packets and their bytes, counted on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes of those packets, link layer included.
    pub bytes: u64,
}

/// Where [`DROPS`] counts packets of `family` that were dropped for the jail with this index.
#[must_use]
pub const fn drop_slot(jail: u32, family: Family) -> u32 {
    jail.saturating_mul(2).saturating_add(family as u32)
}

#[cfg(feature = "user")]
#[expect(
    unsafe_code,
    reason = "aya asks for a promise about the layout, given beside each type"
)]
mod pod {
    // SAFETY: `repr(C)`, two `u32` after a `u64`: no padding, and every bit pattern is a value.
    unsafe impl aya::Pod for super::Ban {}
    // SAFETY: `repr(C)`, two `u64`: no padding, and every bit pattern is a value.
    unsafe impl aya::Pod for super::Counter {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jail_and_family_has_a_slot_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for jail in 0..MAX_JAILS as u32 {
            for family in [Family::Ipv4, Family::Ipv6] {
                let slot = drop_slot(jail, family);
                assert!((slot as usize) < DROP_SLOTS);
                assert!(seen.insert(slot));
            }
        }
    }

    #[test]
    fn map_values_have_the_layout_the_kernel_was_compiled_with() {
        assert_eq!(size_of::<Ban>(), 16);
        assert_eq!(size_of::<Counter>(), 16);
    }
}
