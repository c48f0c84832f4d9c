//! Whose failure it is.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::pattern::facts::{Fact, Facts};

/// The first of the groups `fid`, `ip4`, `ip6` and `dns` that has a part in a match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A host's address. One that is IPv4 in IPv6's clothes (RFC 4291, 2.5.5.2) is IPv4.
    Address(IpAddr),
    /// A network, where the filter asks for one.
    Network(IpNet),
    /// A host's name, still to be looked up.
    Name(String),
    /// Whatever else the filter takes for one, as it stands in the line.
    Other(String),
}

impl Identity {
    /// Reads the identity from what a match says, and the address beside it where the two differ.
    pub(super) fn of(facts: &Facts) -> Option<(Self, Option<IpAddr>)> {
        let own = own(facts);
        let own = own.as_deref();
        let address = facts.text("ip4").or_else(|| facts.text("ip6"));
        let Some(address) = address else {
            let name = facts.text("dns").map(|name| Self::Name(name.to_owned()));
            return name.or_else(|| own.map(Self::read)).map(|identity| (identity, None));
        };
        let prefix_len = facts.text("cidr").and_then(|text| text.parse::<u8>().ok());
        let read = Self::network(address, prefix_len);
        match own {
            Some(own) if own != address => {
                let address = match read {
                    Self::Address(address) => Some(address),
                    Self::Network(_) | Self::Name(_) | Self::Other(_) => None,
                };
                Some((Self::read(own), address))
            }
            _ => Some((read, None)),
        }
    }

    /// An address, or else whatever it is.
    fn read(text: &str) -> Self {
        Self::network(text, None)
    }

    fn network(text: &str, prefix_len: Option<u8>) -> Self {
        let Ok(address) = text.parse::<IpAddr>() else {
            return Self::Other(text.to_owned());
        };
        match prefix_len.map(|prefix_len| IpNet::new(address, prefix_len)) {
            // A line of a log does not speak for everybody.
            Some(Ok(network)) if network.prefix_len() == 0 => Self::Other(format!("{text}/0")),
            Some(Ok(network)) if network.prefix_len() < network.max_prefix_len() => Self::Network(network.trunc()),
            _ => Self::Address(address.to_canonical()),
        }
    }
}

/// What a filter's `<F-ID>` says.
#[must_use]
pub fn own(facts: &Facts) -> Option<String> {
    facts.get("fid").map(|fact| match fact {
        Fact::Text(text) => text.clone(),
        Fact::Tuple(texts) => tuple(texts),
        Fact::Set(texts) => tuple(&texts.iter().cloned().map(Some).collect::<Vec<_>>()),
    })
}

/// Several texts as one identity, written as Python writes them.
fn tuple(texts: &[Option<String>]) -> String {
    let texts = texts
        .iter()
        .map(|text| text.as_ref().map_or("None".to_owned(), |text| format!("'{text}'")));
    format!("({})", texts.collect::<Vec<_>>().join(", "))
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::Name(text) | Self::Other(text) => f.write_str(text),
        }
    }
}
