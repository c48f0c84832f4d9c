//! Source addresses in the one form that the verifier takes.

/// IP version of a packet.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4 = 0,
    /// IPv6.
    Ipv6 = 1,
}

impl Family {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// A source address.
///
/// No enum with a payload of its own for each version: the verifier rejects a program that copies the bytes which the shorter
/// one leaves unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    family: Family,
    /// In network byte order; of IPv4 the first four, and zeros.
    octets: [u8; 16],
}

impl Address {
    /// An IPv4 address in network byte order.
    #[inline(always)]
    #[must_use]
    pub const fn ipv4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self {
            family: Family::Ipv4,
            octets: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        }
    }

    /// An IPv6 address in network byte order.
    #[inline(always)]
    #[must_use]
    pub const fn ipv6(octets: [u8; 16]) -> Self {
        Self {
            family: Family::Ipv6,
            octets,
        }
    }

    /// The address's IP version.
    #[inline(always)]
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The bytes of an IPv4 address in network byte order; of another, its first four.
    #[inline(always)]
    #[must_use]
    pub const fn ipv4_octets(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.octets;
        [a, b, c, d]
    }

    /// The first 64 bits of an IPv6 address in network byte order; of an IPv4 address, its four bytes and zeros.
    #[inline(always)]
    #[must_use]
    pub const fn first_eight(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.octets;
        [a, b, c, d, e, f, g, h]
    }

    /// The bytes of an IPv6 address in network byte order; of an IPv4 address, its four and zeros.
    #[inline(always)]
    #[must_use]
    pub const fn octets(&self) -> &[u8; 16] {
        &self.octets
    }
}
