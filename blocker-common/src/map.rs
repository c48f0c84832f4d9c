//! Layout of the BPF maps, as kernel and agent see it.
//!
//! | map | kind | key | value |
//! |---|---|---|---|
//! | [`IPV4_HOSTS`] | hash | address, 4 bytes | [`Ban`] |
//! | [`IPV6_SUBNETS`] | hash | first 8 bytes of the address: a /64 | [`Ban`] |
//! | [`IPV6_HOSTS`] | hash, grows | address, 16 bytes | [`Ban`] |
//! | [`IPV4_NETWORKS`] | trie | prefix length, 4 bytes, 4 zeros: what follows it is to be aligned | [`Ban`] |
//! | [`IPV6_NETWORKS`] | trie | prefix length, 16 bytes | [`Ban`] |
//! | [`ENDS`] | hash, grows | the key in [`Terms`] | [`Ends`] |
//! | [`IPV4_ALLOWED`] | trie | prefix length, 4 bytes | 1 byte, nothing |
//! | [`IPV6_ALLOWED`] | trie | prefix length, 16 bytes | 1 byte, nothing |
//! | [`TCP_PORTS`], [`UDP_PORTS`] | array of [`PORTS`] | destination port | the [`Scopes`] it belongs to |
//! | [`SETTINGS`] | array of 1 | 0 | [`Settings`] |
//! | [`CLOCK`] | per-CPU array of 1 | 0 | [`Moment`] |
//! | [`COUNTERS`] | per-CPU array of [`COUNTER_SLOTS`] | [`counter_slot`] | [`Counter`] |
//! | [`CARRIED`] | array of [`COUNTER_SLOTS`] | [`counter_slot`] | [`Counter`] |
//! | [`JAILS`] | array of [`MAX_JAILS`] | index of the jail | its name, zeros behind |
//! | [`UNPARSED`] | per-CPU array | [`Unparsed`](crate::packet::Unparsed) | packets |
//!
//! Addresses are in network byte order. What a ban covers may be held by several of them at once: a host of its own, its /64 and any
//! number of networks around it; the first that applies counts.

mod ban;
mod ends;

pub use self::ban::{Ban, Covered, TICK_SHIFT, Terms, ticks};
pub use self::ends::Ends;

use crate::packet::{Family, Protocol};

/// Version of this layout. Maps pinned under another are not taken over as they are.
pub const LAYOUT: u32 = 3;

/// Map of the banned IPv4 addresses.
pub const IPV4_HOSTS: &str = "IPV4_HOSTS";
/// Map of the banned IPv6 networks of 64 bits: what one subscriber has at least (RFC 6177), and what is banned by default.
pub const IPV6_SUBNETS: &str = "IPV6_SUBNETS";
/// Map of the banned IPv6 addresses.
pub const IPV6_HOSTS: &str = "IPV6_HOSTS";
/// Map of the banned IPv4 networks.
pub const IPV4_NETWORKS: &str = "IPV4_NETWORKS";
/// Map of the banned IPv6 networks of other lengths than 64 bits.
pub const IPV6_NETWORKS: &str = "IPV6_NETWORKS";
/// Map of the ends of bans whose scopes end at different times.
pub const ENDS: &str = "ENDS";
/// Map of the IPv4 networks whose packets are never dropped.
pub const IPV4_ALLOWED: &str = "IPV4_ALLOWED";
/// Map of the IPv6 networks whose packets are never dropped.
pub const IPV6_ALLOWED: &str = "IPV6_ALLOWED";
/// Map from TCP destination port to the scopes it belongs to.
pub const TCP_PORTS: &str = "TCP_PORTS";
/// Map from UDP destination port to the scopes it belongs to.
pub const UDP_PORTS: &str = "UDP_PORTS";
/// Map of the one [`Settings`].
pub const SETTINGS: &str = "SETTINGS";
/// Map of the time as the program last read it.
pub const CLOCK: &str = "CLOCK";
/// Map of what bans did, by jail, family and [`Outcome`].
pub const COUNTERS: &str = "COUNTERS";
/// Map of what was counted by programs before this one. The program does not read it.
pub const CARRIED: &str = "CARRIED";
/// Map of the jails' names. The program does not read it.
pub const JAILS: &str = "JAILS";
/// Map of what passed because it could not be parsed.
pub const UNPARSED: &str = "UNPARSED";

/// Entries of [`TCP_PORTS`] and [`UDP_PORTS`]: one for each port there is.
pub const PORTS: usize = 1 << 16;
/// Distinct scopes that the kernel can tell apart: the bits of [`Scopes`].
pub const MAX_SCOPES: usize = 32;
/// Jails that the kernel counts for.
pub const MAX_JAILS: usize = 256;
/// Entries of [`COUNTERS`].
pub const COUNTER_SLOTS: usize = MAX_JAILS * Family::ALL.len() * Outcome::ALL.len();
/// Banned networks around one address that are looked at, from the narrowest on.
pub const MAX_NESTED: usize = 8;
/// Entries of [`IPV4_HOSTS`], [`IPV6_SUBNETS`], [`IPV6_HOSTS`] and [`ENDS`] where the agent does not say otherwise.
pub const DEFAULT_HOSTS: usize = 1_000_000;
/// Entries of each trie where the agent does not say otherwise.
pub const DEFAULT_NETWORKS: usize = 100_000;

/// A set of scopes, one bit each.
pub type Scopes = u32;

/// What holds for all packets.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Scopes that have any TCP port: those of a TCP fragment, which names none.
    pub tcp: Scopes,
    /// Scopes that have any UDP port.
    pub udp: Scopes,
    /// Which maps are worth a look: a set of [`Settings::IPV4_NETWORKS`] and its siblings.
    pub in_use: u32,
    /// Whether packets are only counted, and none is dropped: 0 or 1.
    pub dry_run: u32,
}

impl Settings {
    /// There are entries in [`IPV4_NETWORKS`].
    pub const IPV4_NETWORKS: u32 = 1 << 0;
    /// There are entries in [`IPV6_NETWORKS`].
    pub const IPV6_NETWORKS: u32 = 1 << 1;
    /// There are entries in [`IPV6_HOSTS`].
    pub const IPV6_HOSTS: u32 = 1 << 2;

    /// Scopes that have any port of this protocol.
    #[inline(always)]
    #[must_use]
    pub const fn scopes(&self, protocol: Protocol) -> Scopes {
        match protocol {
            Protocol::Tcp => self.tcp,
            Protocol::Udp => self.udp,
        }
    }
}

/// The time as it was when the program last asked for it, on one CPU.
///
/// The kernel moves its coarse clock once in a jiffy, and the number of the jiffy is there to be read without calling anything.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The jiffy in which it was asked for.
    pub jiffy: u64,
    /// The time, in [ticks].
    pub ticks: u64,
}

/// What became of a packet that a ban covers.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was dropped.
    Dropped = 0,
    /// It passed: the allowlist covers its source.
    Allowed = 1,
    /// It passed: nothing is dropped in a dry run.
    WouldDrop = 2,
}

impl Outcome {
    /// Every outcome, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Dropped, Self::Allowed, Self::WouldDrop];

    /// The outcome's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Allowed => "allowed",
            Self::WouldDrop => "would_drop",
        }
    }
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

/// Where [`COUNTERS`] counts what became of packets of `family` that bans of the jail with this index cover.
#[inline(always)]
#[must_use]
pub const fn counter_slot(jail: u16, family: Family, outcome: Outcome) -> u32 {
    (jail as u32 * Family::ALL.len() as u32 + family as u32) * Outcome::ALL.len() as u32 + outcome as u32
}

#[cfg(feature = "user")]
#[expect(
    unsafe_code,
    reason = "aya asks for a promise about the layout, given beside each type"
)]
mod pod {
    // SAFETY: `repr(C)`: four `u32`, one of them in a transparent type: no padding, and every bit pattern is a value.
    unsafe impl aya::Pod for super::Ban {}
    // SAFETY: `repr(C)`: 32 `u64`, 32 `u16`: no padding, and every bit pattern is a value.
    unsafe impl aya::Pod for super::Ends {}
    // SAFETY: `repr(C)`: four `u32`: no padding, and every bit pattern is a value.
    unsafe impl aya::Pod for super::Settings {}
    // SAFETY: `repr(C)`, two `u64`: no padding, and every bit pattern is a value.
    unsafe impl aya::Pod for super::Counter {}
}

#[cfg(test)]
mod tests;
