//! From a jail's section to its settings.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};
use jiff::SignedDuration;

use super::tree::{JailSection, Setting, Tree};
use super::{JailSettings, action, duration, ports};
use crate::ban::{Protocol, Scope};
use crate::filter::Filter;
use crate::jail::{BanTime, Rules};
use crate::problem::{Problems, did_you_mean};

/// Keys with a meaning here.
const KEYS: [&str; 10] = [
    "enabled", "filter", "logpath", "action", "port", "protocol", "bantime", "findtime", "maxretry", "ignoreip",
];

/// Keys of fail2ban's that say how its actions and its reading of files work. blocker has its own ways for both, so they are
/// read over; so is `ignoreself`, since the machine's own addresses are always on the allowlist.
const READ_OVER: [&str; 11] = [
    "backend",
    "banaction",
    "banaction_allports",
    "chain",
    "destemail",
    "fail2ban_agent",
    "ignoreself",
    "logencoding",
    "maxmatches",
    "mta",
    "sender",
];

/// fail2ban's defaults.
const BAN_TIME: BanTime = BanTime::For(SignedDuration::from_mins(10));
const FIND_TIME: SignedDuration = SignedDuration::from_mins(10);
const MAX_RETRY: u32 = 5;
/// A jail remembers so many failures of each host at the most.
const MAX_MAX_RETRY: u32 = 1000;

/// Every enabled jail that is without a problem; the problems of the others are taken note of.
pub(super) fn all(tree: &Tree, problems: &mut Problems) -> Vec<JailSettings> {
    let sections = tree.sections();
    sections
        .iter()
        .filter_map(|section| jail(tree, section, problems))
        .collect()
}

fn jail(tree: &Tree, section: &JailSection, problems: &mut Problems) -> Option<JailSettings> {
    let before = problems.0.len();
    let mut reader = Reader { section, problems };
    if !reader.get("enabled", boolean, false) {
        return None;
    }
    reader.unknown_keys();
    reader.name();
    let filter = reader.filter(tree);
    let rules = Rules {
        max_retry: reader.get("maxretry", max_retry, MAX_RETRY),
        find_time: reader.get("findtime", duration::parse, FIND_TIME),
        ban_time: reader.get("bantime", duration::parse_ban_time, BAN_TIME),
        ignore: reader.ignore(),
    };
    let logs = reader.logs();
    let scope = reader.scope();
    if problems.0.len() > before {
        return None;
    }
    Some(JailSettings {
        name: section.name.clone(),
        filter: filter?,
        logs,
        logs_place: section
            .get("logpath")
            .map_or(&section.place, |setting| &setting.place)
            .clone(),
        rules,
        scope: scope?,
    })
}

/// Reads one jail's section and takes note of its problems.
struct Reader<'a> {
    section: &'a JailSection,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn unknown_keys(&mut self) {
        for setting in self.section.settings() {
            let key = setting.key.as_str();
            if KEYS.contains(&key) || READ_OVER.contains(&key) {
                continue;
            }
            let hint = match did_you_mean(key, KEYS) {
                hint if hint.is_empty() => "this version does not know it; take the line out".to_owned(),
                hint => hint,
            };
            self.problems.add(&setting.place, format!("unknown key `{key}`"), hint);
        }
    }

    /// The name stands in metrics, log lines and names of nftables sets.
    fn name(&mut self) {
        let name = &self.section.name;
        let plain = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let hint = "use at most 64 letters, digits, `-` and `_`";
            self.problems
                .add(&self.section.place, format!("`{name}` cannot be a jail's name"), hint);
        }
    }

    /// The value of `key`, read by `parse`; `default` where it is absent or, after taking note, wrong.
    fn get<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>, default: T) -> T {
        let Some(setting) = self.section.get(key) else {
            return default;
        };
        match parse(&setting.text()) {
            Ok(value) => value,
            Err(what) => {
                self.wrong(setting, what, "");
                default
            }
        }
    }

    fn wrong(&mut self, setting: &Setting, what: impl AsRef<str>, hint: &str) {
        self.problems
            .add(&setting.place, format!("{}: {}", setting.key, what.as_ref()), hint);
    }

    fn missing(&mut self, what: &str, hint: &str) {
        let what = format!("jail [{}] {what}", self.section.name);
        self.problems.add(&self.section.place, what, hint);
    }

    fn filter(&mut self, tree: &Tree) -> Option<Filter> {
        let name = match self.section.get("filter") {
            Some(setting) if setting.text().contains(['[', '%', '/']) => {
                let what = format!("`{}` is more than a filter's name", setting.text());
                self.wrong(setting, what, "this version takes no parameters here");
                return None;
            }
            Some(setting) => setting.text(),
            // As in fail2ban's own files, where every jail says `filter = %(__name__)s`.
            None => self.section.name.clone(),
        };
        let compiled = tree.filter(&name).and_then(|ini| Filter::compile(&ini));
        if let (Err(_), Some(setting)) = (&compiled, self.section.get("filter")) {
            let what = format!("jail [{}] cannot use the filter `{name}`", self.section.name);
            self.problems.add(&setting.place, what, "see the next line");
        }
        self.problems.absorb(compiled)
    }

    fn logs(&mut self) -> Vec<PathBuf> {
        let Some(setting) = self.section.get("logpath") else {
            self.missing("names no log", "write `logpath = /var/log/mail.log`");
            return Vec::new();
        };
        let text = setting.text();
        let logs: Vec<PathBuf> = text.split_whitespace().map(PathBuf::from).collect();
        if logs.is_empty() {
            self.wrong(setting, "is empty", "write `logpath = /var/log/mail.log`");
        }
        for log in logs.iter().filter(|log| !log.is_absolute()) {
            self.wrong(
                setting,
                format!("`{}` is no absolute path", log.display()),
                "begin it with `/`",
            );
        }
        logs
    }

    fn ignore(&mut self) -> Vec<IpNet> {
        let mut ignored = Vec::new();
        if let Some(setting) = self.section.get("ignoreip") {
            for word in setting.text().split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
                match network(word) {
                    Ok(network) => ignored.push(network),
                    Err(what) => self.wrong(setting, what, "write addresses and networks such as 198.51.100.0/24"),
                }
            }
        }
        ignored
    }

    /// The ports that the actions name, or else the jail itself.
    fn scope(&mut self) -> Option<Scope> {
        let mut named: Vec<(Setting, String)> = Vec::new();
        if let Some(setting) = self.section.get("action").cloned() {
            match action::parse(&setting) {
                Ok(actions) => {
                    for action in &actions {
                        self.protocol(&setting, action.get("protocol"));
                        named.extend(action.get("port").map(|port| (setting.clone(), port.to_owned())));
                    }
                }
                Err(what) => self.wrong(&setting, what, ""),
            }
        }
        if let Some(setting) = self.section.get("protocol").cloned() {
            self.protocol(&setting, Some(setting.text().as_str()));
        }
        if named.is_empty() {
            named.extend(
                self.section
                    .get("port")
                    .map(|setting| (setting.clone(), setting.text())),
            );
        }
        if named.is_empty() {
            self.missing(
                "names no port",
                "write `port = smtp`: a ban covers the ports that its jail names and no others",
            );
            return None;
        }
        let all: Vec<&str> = named.iter().map(|(_, ports)| ports.as_str()).collect();
        match ports::parse(&all.join(",")) {
            Ok(ports) => Some(Scope {
                protocol: Protocol::Tcp,
                ports,
            }),
            Err((what, hint)) => {
                self.wrong(&named[0].0, what, &hint);
                None
            }
        }
    }

    fn protocol(&mut self, setting: &Setting, protocol: Option<&str>) {
        if let Some(other) = protocol.filter(|protocol| !protocol.eq_ignore_ascii_case("tcp")) {
            self.wrong(
                setting,
                format!("bans on protocol `{other}` are not possible yet"),
                "mail is TCP: write `tcp`",
            );
        }
    }
}

/// Reads an address or a network. One that is IPv4 in IPv6's clothes (RFC 4291, 2.5.5.2) is taken for IPv4, as hosts in lines are.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = network.map_err(|_| format!("`{text}` is neither an address nor a network"))?;
    let IpNet::V6(v6) = network else {
        return Ok(network.trunc());
    };
    match (
        v6.addr().to_ipv4_mapped(),
        v6.prefix_len().checked_sub(MAPPED_PREFIX_LEN),
    ) {
        (Some(v4), Some(prefix_len)) => Ipv4Net::new(v4, prefix_len)
            .map(|v4| IpNet::V4(v4.trunc()))
            .map_err(|error| format!("`{text}`: {error}")),
        (Some(_), None) => Err(format!(
            "`{text}` covers more than the IPv4 addresses that it speaks of"
        )),
        (None, _) => Ok(network.trunc()),
    }
}

/// Length of the prefix `::ffff:0:0/96`, behind which IPv6 holds IPv4 addresses.
const MAPPED_PREFIX_LEN: u8 = 96;

fn max_retry(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_MAX_RETRY).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number from 1 to {MAX_MAX_RETRY}"))
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither `true` nor `false`")),
    }
}
