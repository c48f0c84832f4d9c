//! Who can be banned: a host, or a network of any length.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, PrefixLenError};

/// A host or a network, in the one way it can be written: without bits behind its prefix, and IPv4 in IPv6's clothes
/// (RFC 4291, 2.5.5.2) as IPv4. A host is a network of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(IpNet);

impl Subject {
    /// The host at an address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }

    /// What is banned for what the host at an address did: itself, or with IPv6 the network of `ipv6_prefix` bits around it, since one
    /// subscriber has at least 64 bits of addresses to choose from (RFC 6177).
    #[must_use]
    pub fn around(address: IpAddr, ipv6_prefix: Ipv6Prefix) -> Self {
        match address.to_canonical() {
            address @ IpAddr::V4(_) => Self(address.into()),
            address @ IpAddr::V6(_) => {
                IpNet::new(address, ipv6_prefix.0).map_or_else(|_| Self(address.into()), Self::from)
            }
        }
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> IpNet {
        self.0
    }

    /// It and every network that it lies in, the smallest first.
    pub fn and_around(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.0), IpNet::supernet).map(Self)
    }

    /// The address, where it is one host.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        (self.0.prefix_len() == self.0.max_prefix_len()).then(|| self.0.addr())
    }
}

impl From<IpNet> for Subject {
    fn from(network: IpNet) -> Self {
        let network = network.trunc();
        match (network.addr().to_canonical(), network.prefix_len()) {
            // The last 32 of 128 bits are those of the IPv4 address.
            (IpAddr::V4(v4), prefix_len @ 96..) if network.addr().is_ipv6() => {
                Self(ipnet::Ipv4Net::new(v4, prefix_len - 96).map_or(network, IpNet::V4))
            }
            _ => Self(network),
        }
    }
}

/// As people write it: a host without a prefix.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Some(address) => address.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl FromStr for Subject {
    type Err = ipnet::AddrParseError;

    /// Reads `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/48`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::host(address)),
            Err(_) => text.parse::<IpNet>().map(Self::from),
        }
    }
}

/// How many bits of an IPv6 address are banned with it: 1 to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Prefix(u8);

impl Ipv6Prefix {
    /// One subscriber's network: the /64.
    pub const SUBNET: Self = Self(64);
    /// Single addresses.
    pub const HOST: Self = Self(128);

    /// The prefix of so many bits.
    ///
    /// # Errors
    ///
    /// When they are none, which would be everybody, or more than an address has.
    pub const fn new(bits: u8) -> Result<Self, PrefixLenError> {
        match bits {
            1..=128 => Ok(Self(bits)),
            _ => Err(PrefixLenError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_and_a_network_are_written_as_people_write_them() {
        for text in ["192.0.2.7", "192.0.2.0/24", "2001:db8::7", "2001:db8::/48", "0.0.0.0/0"] {
            assert_eq!(subject(text).to_string(), text);
        }
        assert_eq!(subject("192.0.2.7/24").to_string(), "192.0.2.0/24");
        assert_eq!(subject("192.0.2.7/32").to_string(), "192.0.2.7");
    }

    #[test]
    fn ipv4_in_ipv6s_clothes_is_ipv4() {
        assert_eq!(subject("::ffff:192.0.2.7"), subject("192.0.2.7"));
        assert_eq!(subject("::ffff:192.0.2.0/120"), subject("192.0.2.0/24"));
        assert_eq!(subject("::/0").to_string(), "::/0");
    }

    #[test]
    fn ipv6_is_banned_by_the_prefix_and_ipv4_by_the_address() {
        let around =
            |text: &str, bits| Subject::around(text.parse().unwrap(), Ipv6Prefix::new(bits).unwrap()).to_string();
        assert_eq!(around("2001:db8:1:2:3:4:5:6", 64), "2001:db8:1:2::/64");
        assert_eq!(around("2001:db8:1:2:3:4:5:6", 48), "2001:db8:1::/48");
        assert_eq!(around("2001:db8:1:2:3:4:5:6", 128), "2001:db8:1:2:3:4:5:6");
        assert_eq!(around("192.0.2.7", 64), "192.0.2.7");
        assert_eq!(around("::ffff:192.0.2.7", 64), "192.0.2.7");
    }

    #[test]
    fn around_a_host_lie_all_networks_that_hold_it() {
        let around: Vec<String> = subject("192.0.2.7")
            .and_around()
            .map(|around| around.to_string())
            .collect();
        assert_eq!(around.len(), 33);
        assert_eq!((around[0].as_str(), around[1].as_str()), ("192.0.2.7", "192.0.2.6/31"));
        assert_eq!((around[8].as_str(), around[32].as_str()), ("192.0.2.0/24", "0.0.0.0/0"));
        assert_eq!(subject("2001:db8::/64").and_around().count(), 65);
    }

    #[test]
    fn a_prefix_of_nothing_or_too_much_is_refused() {
        assert!(Ipv6Prefix::new(0).is_err());
        assert!(Ipv6Prefix::new(129).is_err());
    }
}
