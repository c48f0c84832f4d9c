//! What the allowlist looks up: a name for its addresses, or a domain for the networks that its SPF record lists.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use super::{Dns, HostName, LookupError, spf};

/// Where networks come from that are not written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The addresses of a host.
    Name(HostName),
    /// The networks that a domain's SPF record lists, with the records that it includes.
    Spf(HostName),
}

/// What a source comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Networks in ascending order and without overlap; a host is a network of one address.
    pub networks: Vec<IpNet>,
    /// How long that holds.
    pub ttl: Duration,
    /// Why there may be more of them than could be found.
    pub missing: Option<String>,
    /// What of it was left out, and why.
    pub warnings: Vec<String>,
}

impl Source {
    /// Looks it up.
    ///
    /// # Errors
    ///
    /// When the DNS does not answer, or has nothing.
    pub async fn look_up(&self, dns: &Dns) -> Result<Found, LookupError> {
        match self {
            Self::Spf(domain) => spf::networks(dns, domain).await,
            Self::Name(host) => {
                let addresses = dns.addresses(host).await?;
                let networks: Vec<IpNet> = addresses.found.into_iter().map(IpNet::from).collect();
                Ok(Found {
                    networks: IpNet::aggregate(&networks),
                    ttl: addresses.ttl,
                    missing: addresses.missing.map(|missing| missing.to_string()),
                    warnings: Vec::new(),
                })
            }
        }
    }
}

/// As it is named in messages.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(host) => host.fmt(f),
            Self::Spf(domain) => write!(f, "spf:{domain}"),
        }
    }
}
