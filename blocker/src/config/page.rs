//! What `[metrics]` says of the page: whether it is served, what it tells, and by which names it may be called.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;

use crate::dns::HostName;

/// How the page is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSettings {
    /// Whether it is; where nobody has said so, only to this machine.
    pub wanted: Option<bool>,
    /// Whether it shows the lines of logs that led to bans.
    pub lines: bool,
    /// By which names browsers may call it, beside those of this machine for itself.
    pub hosts: Vec<PageHost>,
}

impl PageSettings {
    /// Whether the page is served at this address. Whoever has opened the metrics to others has not thereby opened the page.
    #[must_use]
    pub fn is_served(&self, address: SocketAddr) -> bool {
        self.wanted.unwrap_or_else(|| address.ip().is_loopback())
    }
}

/// What a browser may call the page's server: a name, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageHost {
    /// A name.
    Name(HostName),
    /// An address.
    Address(IpAddr),
}

impl FromStr for PageHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        text.parse().map(Self::Name).map_err(|_| {
            format!(
                "`{text}` is no name or address of a host; write as in \"relay.example.net\", without `https://`, port and path"
            )
        })
    }
}

/// Reads `page`.
pub(super) fn wanted<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Page::deserialize(deserializer)? {
        Page::Said(wanted) => Some(wanted),
        Page::Left(Left::Auto) => None,
    })
}

/// `page`, as it is written.
#[derive(Deserialize)]
#[serde(untagged, expecting = "write `true`, `false` or `\"auto\"`")]
enum Page {
    Said(bool),
    Left(Left),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Left {
    Auto,
}

/// Reads `hosts`.
pub(super) fn hosts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<PageHost>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_served_to_this_machine_alone_unless_somebody_says_otherwise() {
        let served = |wanted, address: &str| {
            let settings = PageSettings {
                wanted,
                ..PageSettings::default()
            };
            settings.is_served(address.parse().unwrap())
        };
        assert!(served(None, "127.0.0.1:9919") && served(None, "[::1]:9919"));
        assert!(!served(None, "0.0.0.0:9919") && !served(None, "192.0.2.1:9919"));
        assert!(served(Some(true), "0.0.0.0:9919") && !served(Some(false), "127.0.0.1:9919"));
    }

    #[test]
    fn hosts_are_names_and_addresses_and_nothing_around_them() {
        let address: PageHost = "2001:db8::1".parse().unwrap();
        assert_eq!(address, PageHost::Address("2001:db8::1".parse().unwrap()));
        assert!(matches!("Relay.Example.".parse(), Ok(PageHost::Name(name)) if name.as_str() == "relay.example"));
        for wrong in [
            "",
            "https://relay.example",
            "relay.example:443",
            "relay.example/blocker",
            "*",
            "[::1]",
        ] {
            assert!(wrong.parse::<PageHost>().is_err(), "{wrong}");
        }
    }
}
