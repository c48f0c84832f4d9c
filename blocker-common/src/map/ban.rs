//! What the kernel holds for a banned host or network.

use super::{MAX_JAILS, MAX_SCOPES, Scopes};

/// What the kernel holds for a banned host or network.
///
/// 16 bytes: with the kernel's own head of an element and the address, that is little more than one line of a processor's cache. At a
/// million bans it is memory that a look-up waits for.
///
/// The agent replaces it as a whole; the program reads it and adds to its counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// End of the ban in [ticks](ticks); [`Ban::FOREVER`] never comes. Where scopes end at different times, the latest end.
    pub until: u32,
    /// Packets that it covered since it was made. It stays at [`Ban::MOST_PACKETS`] or a little above.
    pub packets: u32,
    /// When the latest of them came, in [ticks](ticks); 0 before the first.
    pub last_packet: u32,
    /// What it covers.
    pub terms: Terms,
}

impl Ban {
    /// The `until` of a ban without an end.
    pub const FOREVER: u32 = u32::MAX;
    /// Where counting ends. What is left above is for the processors that are counting at that moment.
    pub const MOST_PACKETS: u32 = u32::MAX - 0xffff;
}

/// Nanoseconds of a tick, as a power of two: 67 milliseconds, of which a word holds nine years.
pub const TICK_SHIFT: u32 = 26;

/// Ticks that have begun at so many nanoseconds of `CLOCK_MONOTONIC`; after nine years, the last there is.
#[inline(always)]
#[must_use]
pub const fn ticks(nanoseconds: u64) -> u32 {
    let ticks = nanoseconds >> TICK_SHIFT;
    if ticks > u32::MAX as u64 {
        u32::MAX
    } else {
        ticks as u32
    }
}

/// What a ban covers and for which jail packets count, in one word.
///
/// From the lowest bit on: eight for the length of the network's prefix, one that says whether the allowlist need not be asked, one that
/// says whether scopes end at different times, and then either the scope's bit (five) and the jail (eight), or the key of their
/// [`Ends`](super::Ends).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms(u32);

/// The scopes of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// One, of one jail.
    One {
        /// It, as a set.
        scope: Scopes,
        /// Index of the jail, below [`MAX_JAILS`].
        jail: u16,
    },
    /// Several that end at different times or count for different jails.
    Several {
        /// Their key in [`ENDS`](super::ENDS).
        ends: u32,
    },
}

impl Terms {
    const CLEAR: u32 = 1 << 8;
    const SEVERAL: u32 = 1 << 9;
    const REST: u32 = 10;
    const SCOPE_BITS: u32 = 5;
    /// Keys of [`Ends`](super::Ends) are below this.
    pub const MAX_ENDS: u32 = 1 << (u32::BITS - Self::REST);

    /// One scope, by the number of its bit, and the index of its jail; the length of the prefix of what is banned, in bits.
    #[inline(always)]
    #[must_use]
    pub const fn one(prefix_len: u8, scope: u8, jail: u16) -> Self {
        let scope = scope as u32 % MAX_SCOPES as u32;
        let jail = jail as u32 % MAX_JAILS as u32;
        Self(prefix_len as u32 | scope << Self::REST | jail << (Self::REST + Self::SCOPE_BITS))
    }

    /// Several scopes, by the key of their ends, below [`Terms::MAX_ENDS`].
    #[inline(always)]
    #[must_use]
    pub const fn several(prefix_len: u8, ends: u32) -> Self {
        Self(prefix_len as u32 | Self::SEVERAL | ends << Self::REST)
    }

    /// The same, said to be clear of the allowlist, or not.
    #[inline(always)]
    #[must_use]
    pub const fn with_clear(self, is_clear: bool) -> Self {
        Self(if is_clear {
            self.0 | Self::CLEAR
        } else {
            self.0 & !Self::CLEAR
        })
    }

    /// Whether no network on the allowlist touches what is banned, so that it need not be asked.
    #[inline(always)]
    #[must_use]
    pub const fn is_clear(self) -> bool {
        self.0 & Self::CLEAR != 0
    }

    /// Length of the network's prefix in bits; that of the whole address for a host.
    #[inline(always)]
    #[must_use]
    pub const fn prefix_len(self) -> u8 {
        self.0 as u8
    }

    /// The scopes.
    #[inline(always)]
    #[must_use]
    pub const fn covered(self) -> Covered {
        if self.0 & Self::SEVERAL != 0 {
            return Covered::Several {
                ends: self.0 >> Self::REST,
            };
        }
        let rest = self.0 >> Self::REST;
        Covered::One {
            scope: 1 << (rest % MAX_SCOPES as u32),
            jail: ((rest >> Self::SCOPE_BITS) % MAX_JAILS as u32) as u16,
        }
    }
}

const _: () = assert!(MAX_SCOPES == 1 << Terms::SCOPE_BITS && MAX_JAILS == 256);
