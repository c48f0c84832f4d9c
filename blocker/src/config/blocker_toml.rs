//! `blocker.toml`: what fail2ban's files have no word for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use blocker_common::map::{DEFAULT_HOSTS, DEFAULT_NETWORKS};
use ipnet::IpNet;
use jiff::SignedDuration;
use serde::Deserialize;

use super::digest::DigestTable;
use super::page::PageHost;
use super::tree::unreadable;
use super::{duration, page};
use crate::dns::HostName;
use crate::firewall::interfaces::Pattern;
use crate::ledger::brake::Limits;
use crate::problem::{Place, Problems};

const FILE: &str = "blocker.toml";
/// Metrics are for this machine alone unless somebody says otherwise.
const METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9919);

/// Where the ledger lies unless told otherwise.
const STATE: &str = "/var/lib/blocker";
/// How long earlier bans count, where bans grow.
const HISTORY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BlockerToml {
    pub(super) firewall: FirewallTable,
    pub(super) metrics: MetricsTable,
    pub(super) allow: AllowTable,
    pub(super) state: StateTable,
    pub(super) brake: BrakeTable,
    pub(super) digest: DigestTable,
}

/// `[firewall]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FirewallTable {
    pub(super) kind: FirewallChoice,
    pub(super) interfaces: Vec<Pattern>,
    pub(super) nftables_hook: NftablesHook,
    pub(super) max_addresses: u32,
    pub(super) max_networks: u32,
    pub(super) end_connections: bool,
}

impl Default for FirewallTable {
    fn default() -> Self {
        Self {
            kind: FirewallChoice::Auto,
            interfaces: Vec::new(),
            nftables_hook: NftablesHook::Prerouting,
            max_addresses: DEFAULT_HOSTS as u32,
            max_networks: DEFAULT_NETWORKS as u32,
            end_connections: true,
        }
    }
}

/// `[metrics]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MetricsTable {
    #[serde(deserialize_with = "address_or_off")]
    pub(super) listen: Option<SocketAddr>,
    #[serde(deserialize_with = "page::wanted")]
    pub(super) page: Option<bool>,
    pub(super) page_lines: bool,
    #[serde(deserialize_with = "page::hosts")]
    pub(super) hosts: Vec<PageHost>,
}

impl Default for MetricsTable {
    fn default() -> Self {
        Self {
            listen: Some(METRICS),
            page: None,
            page_lines: true,
            hosts: Vec::new(),
        }
    }
}

/// `[allow]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AllowTable {
    #[serde(deserialize_with = "networks")]
    pub(super) networks: Vec<IpNet>,
    #[serde(deserialize_with = "host_names")]
    pub(super) names: Vec<HostName>,
    #[serde(deserialize_with = "host_names")]
    pub(super) spf: Vec<HostName>,
}

/// `[state]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StateTable {
    pub(super) folder: PathBuf,
    #[serde(deserialize_with = "length_of_time")]
    pub(super) history: SignedDuration,
}

impl Default for StateTable {
    fn default() -> Self {
        Self {
            folder: STATE.into(),
            history: HISTORY,
        }
    }
}

/// `[brake]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BrakeTable {
    #[serde(deserialize_with = "at_least_one")]
    pub(super) max_bans_per_minute: u32,
    #[serde(deserialize_with = "share")]
    pub(super) max_share: f64,
    #[serde(deserialize_with = "at_least_one")]
    pub(super) share_from: u32,
}

impl Default for BrakeTable {
    fn default() -> Self {
        let Limits {
            bans_per_minute,
            share,
            share_from,
        } = Limits::default();
        Self {
            max_bans_per_minute: bans_per_minute,
            max_share: share,
            share_from,
        }
    }
}

/// Which firewall enforces bans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FirewallChoice {
    /// XDP where it can be attached, nftables otherwise.
    #[default]
    Auto,
    /// XDP or nothing.
    Xdp,
    /// nftables.
    Nftables,
}

/// Where nftables looks at packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NftablesHook {
    /// Before routing, whichever way they come in.
    #[default]
    Prerouting,
    /// As the configured interfaces hand them on. Needs Linux 5.10.
    Ingress,
}

/// Reads the file, if there is one.
pub(super) fn read(folder: &Path) -> Result<BlockerToml, Problems> {
    let file = folder.join(FILE);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BlockerToml::default()),
        Err(error) => return Err(unreadable(&file, &error)),
    };
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let place = Place {
            line: before.matches('\n').count() + 1,
            file,
        };
        let mut problems = Problems::default();
        problems.add(&place, error.message().trim().replace('\n', ", "), "");
        problems
    })
}

fn address_or_off<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{text}` is no address with a port; write \"127.0.0.1:9919\" or \"off\""
            ))
        }),
    }
}

fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| super::jail::network(text).map_err(serde::de::Error::custom))
        .collect()
}

fn length_of_time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    let length = duration::parse(&String::deserialize(deserializer)?);
    length.map_err(|what| serde::de::Error::custom(format!("{what}; write as in \"30d\"")))
}

fn at_least_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(serde::de::Error::custom("0 would let nobody be banned")),
        number => Ok(number),
    }
}

fn share<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(serde::de::Error::custom(format!(
            "{share} is no share: write a number above 0, up to 1.0, which never brakes"
        )))
    }
}

fn host_names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<HostName>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<BlockerToml, Problems> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        read(folder.path())
    }

    #[test]
    fn without_the_file_the_defaults_hold() {
        let folder = tempfile::tempdir().unwrap();
        let toml = read(folder.path()).unwrap();
        assert_eq!(toml.firewall.kind, FirewallChoice::Auto);
        assert_eq!(toml.metrics.listen, Some("127.0.0.1:9919".parse().unwrap()));
    }

    #[test]
    fn every_setting_is_read() {
        let text = "[firewall]\nkind = \"nftables\"\ninterfaces = [\"eth0\", \"en?s*\"]\nnftables_hook = \"ingress\"\nmax_addresses = 5\nmax_networks = 7\n\
                    end_connections = false\n\
                    [metrics]\nlisten = \"off\"\npage = false\npage_lines = false\nhosts = [\"relay.example\"]\n[allow]\nnetworks = [\"192.0.2.0/24\", \"2001:db8::1\"]\n\
                    names = [\"relay.example\"]\nspf = [\"_spf.google.com\"]\n\
                    [state]\nfolder = \"/srv/blocker\"\nhistory = \"1w\"\n\
                    [brake]\nmax_bans_per_minute = 9\nmax_share = 0.25\nshare_from = 10\n";
        let toml = read_text(text).unwrap();
        assert_eq!(toml.firewall.kind, FirewallChoice::Nftables);
        let interfaces: Vec<String> = toml.firewall.interfaces.iter().map(Pattern::to_string).collect();
        assert_eq!(interfaces, ["eth0", "en?s*"]);
        assert_eq!(toml.firewall.nftables_hook, NftablesHook::Ingress);
        assert_eq!((toml.firewall.max_addresses, toml.firewall.max_networks), (5, 7));
        assert!(!toml.firewall.end_connections);
        assert_eq!(toml.metrics.listen, None);
        assert_eq!((toml.metrics.page, toml.metrics.page_lines), (Some(false), false));
        assert_eq!(toml.metrics.hosts, ["relay.example".parse().unwrap()]);
        assert_eq!(toml.state.folder, Path::new("/srv/blocker"));
        assert_eq!(toml.state.history, SignedDuration::from_hours(7 * 24));
        assert_eq!((toml.brake.max_bans_per_minute, toml.brake.share_from), (9, 10));
        assert_eq!(toml.brake.max_share, 0.25);
        assert_eq!(toml.allow.names, ["relay.example".parse().unwrap()]);
        assert_eq!(toml.allow.spf, ["_spf.google.com".parse().unwrap()]);
        assert_eq!(
            toml.allow.networks,
            [
                "192.0.2.0/24".parse().unwrap(),
                "2001:db8::1/128".parse::<IpNet>().unwrap()
            ]
        );
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_line() {
        let cases = [
            ("[firewall]\nkindd = \"xdp\"\n", ":2:", "expected"),
            ("[firewall]\n\nkind = \"pf\"\n", ":3:", "expected"),
            ("[firewall]\nnftables_hook = \"input\"\n", ":2:", "prerouting"),
            ("[metrics]\nlisten = \"9919\"\n", ":2:", "127.0.0.1:9919"),
            ("[metrics]\npage = \"on\"\n", ":2:", "`true`, `false` or `\"auto\"`"),
            ("[metrics]\npages = true\n", ":2:", "`page`"),
            (
                "[metrics]\nhosts = [\"https://relay.example\"]\n",
                ":2:",
                "without `https://`, port and path",
            ),
            ("[allow]\nnetworks = [\"192.0.2.0/40\"]\n", ":2:", "192.0.2.0/40"),
            (
                "[firewall]\ninterfaces = [\"eth0\", \"eth[\"]\n",
                ":2:",
                "`eth[` is no glob",
            ),
            ("[allow]\nnames = [\"192.0.2.7\"]\n", ":2:", "`192.0.2.7` is no name"),
            ("[firewall\n", ":1:", ""),
            ("[state]\nhistory = \"soon\"\n", ":2:", "30d"),
            ("[brake]\nmax_share = 1.5\n", ":2:", "no share"),
            ("[brake]\nmax_bans_per_minute = 0\n", ":2:", "nobody"),
        ];
        for (text, line, part) in cases {
            let problem = read_text(text).unwrap_err().to_string();
            assert!(problem.contains(line) && problem.contains(part), "{problem}");
        }
    }
}
