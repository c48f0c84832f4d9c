//! Asks the DNS for what the allowlist names, and says how long the answers hold.
//!
//! Whoever controls a name chooses the answers, so all of them are bounded. The names of hosts in log lines, which anybody chooses,
//! are [`resolve`](crate::resolve)'s business. What becomes of an answer may not enter.

mod name;
mod round;
mod source;
pub mod spf;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Hosts, Resolver, ResolverBuilder, TokioResolver};

pub use self::name::HostName;
pub use self::round::look_up_all;
pub use self::source::{Found, Source};

/// Addresses taken of one name.
const MAX_ADDRESSES: usize = 64;
/// Records of another kind taken of one name.
const MAX_RECORDS: usize = 64;
/// How long what `/etc/hosts` says holds: the file may change.
const HOSTS_TTL: Duration = Duration::from_secs(60);

/// The DNS as the machine's `/etc/resolv.conf` and `/etc/hosts` were when this was made. It remembers nothing.
pub struct Dns {
    /// Why there is none, where the machine has no usable configuration: what `/etc/hosts` says counts nevertheless.
    resolver: Result<TokioResolver, LookupError>,
    hosts: Hosts,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The DNS says that there is none.
    #[error("there is no such record")]
    Absent,
    /// Nobody said anything that can be used.
    #[error("{0}")]
    Failed(String),
}

/// A host's addresses.
struct Addresses {
    found: Vec<IpAddr>,
    ttl: Duration,
    /// Why those of one IP version are not among them.
    missing: Option<LookupError>,
}

/// Records of one kind, and how long they hold.
struct Records<T> {
    found: Vec<T>,
    ttl: Duration,
}

impl Dns {
    /// Reads the machine's configuration.
    #[must_use]
    pub fn of_the_machine() -> Self {
        let resolver = Resolver::builder_tokio()
            .map_err(|error| LookupError::Failed(format!("/etc/resolv.conf cannot be used: {error}")))
            .and_then(resolver);
        Self {
            resolver,
            // A machine without the file has no names in it.
            hosts: Hosts::from_system().unwrap_or_default(),
        }
    }

    /// Asks one server, whatever the machine's configuration.
    #[must_use]
    pub fn at(server: SocketAddr) -> Self {
        let connection = |protocol| {
            let mut connection = ConnectionConfig::new(protocol);
            connection.port = server.port();
            connection
        };
        let connections = vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)];
        let server = NameServerConfig::new(server.ip(), true, connections);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().timeout = Duration::from_secs(2);
        builder.options_mut().attempts = 1;
        Self {
            resolver: resolver(builder),
            hosts: Hosts::default(),
        }
    }

    /// The addresses of a host, IPv4 and IPv6. Where `/etc/hosts` has any, the DNS is not asked.
    async fn addresses(&self, host: &HostName) -> Result<Addresses, LookupError> {
        let name = asked(host)?;
        let written = self.written(&name);
        if !written.is_empty() {
            return Ok(Addresses {
                found: written,
                ttl: HOSTS_TTL,
                missing: None,
            });
        }
        let (v4, v6) = tokio::join!(
            self.records(host, RecordType::A, address),
            self.records(host, RecordType::AAAA, address)
        );
        let (mut records, missing) = match (v4, v6) {
            (Ok(mut v4), Ok(v6)) => {
                v4.found.extend(v6.found);
                v4.ttl = v4.ttl.min(v6.ttl);
                (v4, None)
            }
            (Ok(some), Err(missing)) | (Err(missing), Ok(some)) => (some, Some(missing)),
            (Err(LookupError::Absent), Err(error)) | (Err(error), Err(_)) => return Err(error),
        };
        records.found.truncate(MAX_ADDRESSES);
        Ok(Addresses {
            found: records.found,
            ttl: records.ttl,
            missing: missing.filter(|missing| *missing != LookupError::Absent),
        })
    }

    /// What `/etc/hosts` says.
    fn written(&self, name: &Name) -> Vec<IpAddr> {
        let lookup = |kind| {
            let mut query = Query::new();
            query.set_name(name.clone()).set_query_type(kind);
            self.hosts.lookup_static_host(&query)
        };
        let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(lookup);
        let addresses: Vec<IpAddr> = found
            .flat_map(|found| found.answers().iter().filter_map(address).collect::<Vec<_>>())
            .collect();
        addresses.into_iter().take(MAX_ADDRESSES).collect()
    }

    /// The texts at a name, each with its parts put together.
    async fn texts(&self, name: &HostName) -> Result<Records<String>, LookupError> {
        let text = |record: &Record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        };
        self.records(name, RecordType::TXT, text).await
    }

    /// The hosts that take a domain's mail, those preferred first.
    async fn exchanges(&self, domain: &HostName) -> Result<Records<HostName>, LookupError> {
        let exchange = |record: &Record| match &record.data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii().parse().ok()?)),
            _ => None,
        };
        let records = self.records(domain, RecordType::MX, exchange).await?;
        let sorted: BTreeSet<(u16, HostName)> = records.found.into_iter().collect();
        Ok(Records {
            found: sorted.into_iter().map(|(_, host)| host).collect(),
            ttl: records.ttl,
        })
    }

    async fn records<T>(
        &self,
        name: &HostName,
        kind: RecordType,
        read: impl Fn(&Record) -> Option<T>,
    ) -> Result<Records<T>, LookupError> {
        let resolver = self.resolver.as_ref().map_err(Clone::clone)?;
        let answer = resolver.lookup(asked(name)?, kind).await.map_err(reason)?;
        let found: Vec<T> = answer.answers().iter().filter_map(read).take(MAX_RECORDS).collect();
        if found.is_empty() {
            return Err(LookupError::Absent);
        }
        let ttl = answer.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
        Ok(Records {
            found,
            ttl: Duration::from_secs(ttl.into()),
        })
    }
}

/// One that remembers nothing, and leaves `/etc/hosts` to us.
fn resolver(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<TokioResolver, LookupError> {
    let options = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build().map_err(|error| LookupError::Failed(error.to_string()))
}

/// A name as it is asked for. One of a single label is looked for in the search list, as the machine's resolver does.
fn asked(host: &HostName) -> Result<Name, LookupError> {
    let mut name = Name::from_ascii(host.as_str()).map_err(|error| LookupError::Failed(error.to_string()))?;
    name.set_fqdn(host.as_str().contains('.'));
    Ok(name)
}

fn address(record: &Record) -> Option<IpAddr> {
    record.data.ip_addr().map(|address| address.to_canonical())
}

fn reason(error: NetError) -> LookupError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => LookupError::Absent,
        error => LookupError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
