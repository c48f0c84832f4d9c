//! From a jail's section to its settings.

mod ignore;
mod increment;
mod keys;
mod logs;
mod scope;
mod section;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use self::logs::Logs;
use self::section::Section;
use super::tree::Tree;
use super::{BrokenJail, JailSettings, duration};
use crate::ban::Ipv6Prefix;
use crate::filter::definition::{self, Definition, LogType};
use crate::filter::parameters::Named;
use crate::filter::value::Value;
use crate::filter::{Filter, date, hijack};
use crate::jail::{BanTime, Rules};
use crate::problem::{Place, Problems};

/// fail2ban's defaults.
const BAN_TIME: BanTime = BanTime::For(SignedDuration::from_mins(10));
const FIND_TIME: SignedDuration = SignedDuration::from_mins(10);
const MAX_RETRY: u32 = 5;
/// A jail remembers so many failures of each host at the most.
const MAX_MAX_RETRY: u32 = 1000;

/// How long the examination of filters may take before the rest of them is left out.
const EXAMINATION: Duration = Duration::from_secs(2);

/// What the jail files hold.
#[derive(Debug, Default)]
pub(super) struct Jails {
    /// The enabled jails that are without a problem.
    pub(super) sound: Vec<JailSettings>,
    /// The enabled jails that are not.
    pub(super) broken: Vec<BrokenJail>,
    /// What is wrong for all of them.
    pub(super) problems: Problems,
    /// What is doubtful in any.
    pub(super) warnings: Problems,
}

/// Reads every enabled jail.
pub(super) fn all(tree: &Tree) -> Jails {
    let mut jails = Jails::default();
    let mut examined = Examined::default();
    keys::check_defaults(&tree.jails, &mut jails.problems);
    for layer in &tree.jails.sections {
        let mut problems = Problems::default();
        let folder = tree.folder.as_deref().unwrap_or(Path::new(super::builtin::NAME));
        let mut reader = Reader {
            tree,
            section: Section::new(&tree.jails, layer, folder),
            problems: &mut problems,
            warnings: &mut jails.warnings,
            examined: &mut examined,
        };
        let jail = reader.jail();
        if !problems.0.is_empty() {
            jails.broken.push(BrokenJail {
                name: layer.name.clone(),
                problems,
            });
        } else if let Some(jail) = jail {
            jails.sound.push(jail);
        }
    }
    jails
}

/// Filters whose expressions were examined.
#[derive(Default)]
struct Examined {
    filters: Vec<Arc<Filter>>,
    taken: Duration,
}

/// Reads one jail's section and takes note of its problems.
struct Reader<'a> {
    tree: &'a Tree,
    section: Section<'a>,
    problems: &'a mut Problems,
    warnings: &'a mut Problems,
    examined: &'a mut Examined,
}

impl Reader<'_> {
    /// The jail; none when it is not enabled, or when a problem was taken note of.
    fn jail(&mut self) -> Option<JailSettings> {
        if !self.read("enabled", boolean, false) {
            return None;
        }
        keys::check(&self.section, self.problems, self.warnings);
        self.name();
        let ignored = self.ignored();
        let ignore_command = self.ignore_command();
        let rules = Rules {
            max_retry: self.read("maxretry", max_retry, MAX_RETRY),
            find_time: self.read("findtime", duration::parse, FIND_TIME),
            ban_time: self.read("bantime", duration::parse_ban_time, BAN_TIME),
            increment: self.increment(),
            renew: self.renew(),
            ignore: ignored.networks,
            ipv6_prefix: self.read("ipv6prefix", ipv6_prefix, Ipv6Prefix::SUBNET),
        };
        let zone = self.read("logtimezone", date::parse_zone, TimeZone::system());
        let Logs {
            logs,
            place: logs_place,
            definition,
        } = self.logs_and_filter();
        let scope = self.scope();
        let filter = self.problems.absorb(Filter::compile(&definition?))?;
        let filter = Arc::new(filter);
        self.examine(&filter);
        Some(JailSettings {
            name: self.section.name().to_owned(),
            filter,
            zone,
            logs,
            logs_place,
            rules,
            ignored_names: ignored.names,
            ignore_command,
            scope: scope?,
        })
    }

    /// Warns of expressions that can be led astray. Jails may share a filter, which is then looked at once; and what takes long must not
    /// keep an agent from starting.
    fn examine(&mut self, filter: &Arc<Filter>) {
        let Some(regex) = filter.failregex().first() else {
            return;
        };
        if self.examined.filters.iter().any(|known| known.is_same(filter)) {
            return;
        }
        if self.examined.taken > EXAMINATION {
            let what = format!(
                "not examined: the expressions of `{}`: others took too long",
                filter.name()
            );
            let hint = "`blocker test LOG FILTER` warns of those that a client's words can lead astray";
            self.warnings.add(&regex.place, what, hint);
            return;
        }
        let begin = Instant::now();
        self.warnings.0.extend(hijack::warnings(filter));
        self.examined.taken += begin.elapsed();
        self.examined.filters.push(Arc::clone(filter));
    }

    /// The name stands in metrics, log lines and names of nftables sets.
    fn name(&mut self) {
        let name = self.section.name();
        let plain = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let hint = "use at most 64 letters, digits, `-` and `_`";
            let what = format!("`{name}` cannot be a jail's name");
            self.problems.add(self.section.place(), what, hint);
        }
    }

    fn get(&mut self, key: &str) -> Option<Value> {
        self.section.get(key, self.problems)
    }

    /// The value of `key`, read by `parse`; `default` where it is absent or empty or, after taking note, wrong.
    fn read<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>, default: T) -> T {
        let Some(value) = self.get(key).filter(|value| !value.is_empty()) else {
            return default;
        };
        match parse(&value.text()) {
            Ok(value) => value,
            Err(what) => {
                self.wrong(key, &value, what, "");
                default
            }
        }
    }

    fn wrong(&mut self, key: &str, value: &Value, what: impl AsRef<str>, hint: &str) {
        let what = format!("{}: {}", self.subject(key, value), what.as_ref());
        let place = self.own_place(key, value).unwrap_or_else(|| value.place());
        self.problems.add(&place, what, hint);
    }

    /// Where the section itself says it, even if in words that it shares with others.
    fn own_place(&self, key: &str, value: &Value) -> Option<Place> {
        let mut lines = value.lines.iter().map(|line| &line.place);
        let own = lines.find(|place| self.section.holds(place)).cloned();
        let keys = || self.section.own_keys().find(|(own, _)| *own == key);
        own.or_else(|| keys().map(|(_, value)| value.place()))
    }

    /// What a message about a value begins with. One that other jails share, as `[DEFAULT]`'s, is wrong for all of them, and is told of once.
    fn subject(&self, key: &str, value: &Value) -> String {
        if self.own_place(key, value).is_some() {
            format!("jail [{}]: {key}", self.section.name())
        } else {
            key.to_owned()
        }
    }

    fn missing(&mut self, what: &str, hint: &str) {
        let what = format!("jail [{}] {what}", self.section.name());
        self.problems.add(self.section.place(), what, hint);
    }

    /// The jail's filter, with the keys that the jail sets itself in the place of the filter's.
    fn definition(&mut self, log_type: LogType) -> Option<Definition> {
        let value = self.get("filter").filter(|value| !value.is_empty());
        // As in fail2ban's own files, where every jail says `filter = %(__name__)s`.
        let value = value.unwrap_or_else(|| Value::given(self.section.place(), self.section.name()));
        let named = match Named::parse(&value.joined()) {
            Ok(named) => named,
            Err(what) => {
                self.wrong("filter", &value, what, "");
                return None;
            }
        };
        let read = self.tree.filter(&named, log_type);
        if !read.problems.0.is_empty() {
            let what = format!("jail [{}] cannot use the filter `{}`", self.section.name(), named.name);
            self.problems
                .add(&value.place(), what, "what is wrong with it is told too");
        }
        self.problems.0.extend(read.problems.0);
        let mut definition = read.definition?;
        for unused in &definition.unused {
            // The jail's own failregex may say %(known/x)s.
            if !self.tree.jails.mention(&format!("known/{}", unused.name)) {
                let what = format!("{}: {}", self.subject("filter", &value), unused.what(&named.name));
                self.warnings.add(&value.place(), what, &*unused.hint);
            }
        }
        for (key, value) in definition.values() {
            self.section.give(&format!("known/{key}"), value.clone());
        }
        for key in definition::KEYS {
            if let Some(value) = self.get(key) {
                definition.replace(key, value);
            }
        }
        Some(definition)
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

fn ipv6_prefix(text: &str) -> Result<Ipv6Prefix, String> {
    let bits = text.strip_prefix('/').unwrap_or(text).parse().ok();
    bits.and_then(|bits| Ipv6Prefix::new(bits).ok()).ok_or_else(|| {
        format!("`{text}` is no length of a prefix from 1 to 128; 64 bans a subscriber, 128 one address")
    })
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither `true` nor `false`")),
    }
}
