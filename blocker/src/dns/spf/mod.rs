//! The networks that an SPF record lists (RFC 7208): where a big sender's mail comes from.
//!
//! A receiver asks such a record about one sender. Here all senders are wanted that it says yes to, so its order means nothing, and
//! what depends on the sender, as macros, `exists` and `ptr` do, is left out. Whoever controls the record must not be able to switch the
//! firewall off: a single network, and all of them together, may only be so large.

pub mod record;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use self::record::{Lengths, Record, Term};
use super::{Addresses, Dns, Found, HostName, LookupError};
use crate::ban::Subject;

/// Terms that ask the DNS, over all records (RFC 7208, 4.6.4).
const MAX_LOOKUPS: usize = 10;
/// Hosts that take a domain's mail, likewise.
const MAX_EXCHANGES: usize = 10;
/// Networks of one record, with those that it includes.
const MAX_NETWORKS: usize = 4096;
/// The shortest prefix of a network.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 16;
/// All networks of a record are together at most as large as so many of the largest.
const MAX_LARGEST: u128 = 4;
/// Warnings that are told of one record.
const MAX_WARNINGS: usize = 16;

/// What a domain's SPF record lists, with those that it includes or redirects to.
///
/// # Errors
///
/// When the DNS does not answer, when there is no record or several, or when there is more of it than may be.
pub async fn networks(dns: &Dns, domain: &HostName) -> Result<Found, LookupError> {
    let mut walk = Walk {
        dns,
        lookups: 0,
        known: BTreeSet::from([domain.clone()]),
        records: vec![domain.clone()],
        found: Found {
            networks: Vec::new(),
            ttl: Duration::MAX,
            missing: None,
            warnings: Vec::new(),
        },
    };
    while let Some(domain) = walk.records.pop() {
        walk.record(&domain).await?;
    }
    let mut found = walk.found;
    found.networks = IpNet::aggregate(&found.networks);
    found.networks.sort_unstable();
    limit_size(&found.networks)?;
    Ok(found)
}

/// The way through the records.
struct Walk<'a> {
    dns: &'a Dns,
    lookups: usize,
    /// Records that were read or will be; each is read once, so that a circle ends.
    known: BTreeSet<HostName>,
    /// Those still to be read.
    records: Vec<HostName>,
    found: Found,
}

impl Walk<'_> {
    async fn record(&mut self, domain: &HostName) -> Result<(), LookupError> {
        let texts = self.dns.texts(domain).await.map_err(|error| at(domain, &error))?;
        self.lasts(texts.ttl);
        let mut records = texts.found.iter().filter(|text| record::is_spf(text));
        let record = match (records.next(), records.next()) {
            (Some(record), None) => Record::parse(record),
            (None, _) => return Err(failed(format!("{domain} has no SPF record"))),
            (Some(_), Some(_)) => return Err(failed(format!("{domain} has more than one SPF record"))),
        };
        for warning in record.warnings {
            self.warn(format!("{domain}: {warning}"));
        }
        for term in record.terms {
            self.term(term, domain).await?;
        }
        Ok(())
    }

    async fn term(&mut self, term: Term, domain: &HostName) -> Result<(), LookupError> {
        match term {
            Term::Network(network) => return self.take(network, domain),
            Term::Asks => self.ask()?,
            Term::Record(other) => {
                self.ask()?;
                if self.known.insert(other.clone()) {
                    self.records.push(other);
                }
            }
            Term::Addresses(host, lengths) => {
                self.ask()?;
                let host = host.as_ref().unwrap_or(domain);
                self.host(host, lengths, domain).await?;
            }
            Term::Exchanges(of, lengths) => {
                self.ask()?;
                let of = of.as_ref().unwrap_or(domain);
                let exchanges = match self.dns.exchanges(of).await {
                    Ok(exchanges) => exchanges,
                    Err(LookupError::Absent) => return Ok(()),
                    Err(error) => return Err(at(of, &error)),
                };
                self.lasts(exchanges.ttl);
                if exchanges.found.len() > MAX_EXCHANGES {
                    return Err(failed(format!("{of} has more than {MAX_EXCHANGES} MX records")));
                }
                for host in exchanges.found {
                    self.host(&host, lengths, domain).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes the networks around a host's addresses. A host that is not there lists nobody.
    async fn host(&mut self, host: &HostName, lengths: Lengths, domain: &HostName) -> Result<(), LookupError> {
        let addresses = match self.dns.addresses(host).await {
            Ok(addresses) => addresses,
            Err(LookupError::Absent) => return Ok(()),
            Err(error) => return Err(at(host, &error)),
        };
        let Addresses { found, ttl, missing } = addresses;
        self.lasts(ttl);
        if let Some(missing) = missing {
            self.found.missing = Some(at(host, &missing).to_string());
        }
        for address in found {
            let length = match address {
                IpAddr::V4(_) => lengths.v4,
                IpAddr::V6(_) => lengths.v6,
            };
            // The length was held against the longest when it was read.
            if let Ok(network) = IpNet::new(address, length) {
                self.take(network, domain)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, network: IpNet, domain: &HostName) -> Result<(), LookupError> {
        let network = Subject::from(network).network();
        let shortest = match network {
            IpNet::V4(_) => SHORTEST_V4,
            IpNet::V6(_) => SHORTEST_V6,
        };
        if network.prefix_len() < shortest {
            self.warn(format!("{domain}: {network} is too large to be allowed by a record"));
            return Ok(());
        }
        if self.found.networks.len() >= MAX_NETWORKS {
            return Err(failed(format!("it lists more than {MAX_NETWORKS} networks")));
        }
        self.found.networks.push(network);
        Ok(())
    }

    fn ask(&mut self) -> Result<(), LookupError> {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS {
            let what = format!("it needs more than {MAX_LOOKUPS} look-ups, which RFC 7208 forbids");
            return Err(failed(what));
        }
        Ok(())
    }

    fn lasts(&mut self, ttl: Duration) {
        self.found.ttl = self.found.ttl.min(ttl);
    }

    fn warn(&mut self, warning: String) {
        if self.found.warnings.len() < MAX_WARNINGS {
            self.found.warnings.push(warning);
        }
    }
}

/// Refuses networks that are too large together.
fn limit_size(networks: &[IpNet]) -> Result<(), LookupError> {
    let (mut v4, mut v6) = (0_u128, 0_u128);
    for network in networks {
        // Each counts at the longest prefix of a size worth counting, so that no sum can overflow.
        match network {
            IpNet::V4(network) => v4 += 1 << (32 - network.prefix_len()),
            IpNet::V6(network) => v6 += 1 << (64_u8.saturating_sub(network.prefix_len())),
        }
    }
    if v4 > MAX_LARGEST << (32 - SHORTEST_V4) || v6 > MAX_LARGEST << (64 - SHORTEST_V6) {
        return Err(failed(
            "it lists more of the Internet than a record may allow".to_owned(),
        ));
    }
    Ok(())
}

fn at(name: &HostName, error: &LookupError) -> LookupError {
    failed(format!("{name}: {error}"))
}

const fn failed(what: String) -> LookupError {
    LookupError::Failed(what)
}
