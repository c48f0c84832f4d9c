//! The configuration: a folder laid out like fail2ban's, and `blocker.toml` beside it, checked into typed settings.
//!
//! What was typed becomes [`Settings`] in one step, here; nothing half-checked travels on. `blocker check` and start-up run the
//! same code. Every problem is collected, each with file, line and what to do. The machine (interfaces, capabilities, whether
//! a log can be read) is looked at elsewhere.

mod blocker_toml;
mod builtin;
mod digest;
mod duration;
mod jail;
mod page;
mod ports;
mod tree;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

pub use self::blocker_toml::{FirewallChoice, NftablesHook};
pub use self::digest::{DigestSettings, Mail, MailAddress, MailBy, Webhook};
pub use self::page::{PageHost, PageSettings};
use self::tree::Tree;
use crate::ban::Scope;
use crate::dns::Source;
use crate::filter::Filter;
use crate::filter::definition::{LogType, Partial};
use crate::filter::parameters::Named;
use crate::firewall::interfaces::Pattern;
use crate::firewall::xdp::Sizes;
use crate::jail::Rules;
use crate::jail::ignore_command::IgnoreCommand;
use crate::ledger::brake::Limits;
use crate::problem::{Place, Problem, Problems};
use crate::source::Log;

/// Where the configuration lies unless told otherwise.
pub const DEFAULT_FOLDER: &str = "/etc/blocker";

/// Everything the agent needs to know.
#[derive(Debug)]
pub struct Settings {
    /// Where they came from, for people.
    pub source: String,
    /// Which firewall enforces bans.
    pub firewall: FirewallChoice,
    /// Which interfaces XDP is attached to, and nftables where its hook is tied to them; empty for those with a default route.
    pub interfaces: Vec<Pattern>,
    /// Where nftables looks at packets.
    pub nftables_hook: NftablesHook,
    /// Banned addresses that the kernel has room for, of each IP version.
    pub sizes: Sizes,
    /// Whether the connections of a host end with its ban.
    pub end_connections: bool,
    /// Whether what would be dropped is only counted; no file says so, only the command line.
    pub dry_run: bool,
    /// Where Prometheus metrics are served.
    pub metrics: Option<SocketAddr>,
    /// How the page is served there.
    pub page: PageSettings,
    /// Networks that no ban may cover.
    pub allow: Vec<IpNet>,
    /// Names and SPF records whose networks no ban may cover.
    pub allow_looked_up: Vec<Source>,
    /// Where the ledger lies.
    pub state: PathBuf,
    /// How long earlier bans are remembered.
    pub history: SignedDuration,
    /// How many bans are too many.
    pub brake: Limits,
    /// Who is told now and then what has happened.
    pub digest: DigestSettings,
    /// The enabled jails; at least one.
    pub jails: Vec<JailSettings>,
    /// The enabled jails that cannot run, where the others do without them.
    pub broken: Vec<BrokenJail>,
    /// What is doubtful and no reason not to start.
    pub warnings: Problems,
}

/// A jail that cannot run.
#[derive(Debug)]
pub struct BrokenJail {
    /// Its name.
    pub name: String,
    /// Why.
    pub problems: Problems,
}

/// What becomes of the others where a jail cannot run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBroken {
    /// None of them runs.
    #[default]
    Refuse,
    /// They run without it.
    Skip,
}

/// One jail.
#[derive(Debug)]
pub struct JailSettings {
    /// Its name.
    pub name: String,
    /// Finds failures in its lines.
    pub filter: Arc<Filter>,
    /// The time zone of dates in its logs that name none.
    pub zone: TimeZone,
    /// Its logs; at least one.
    pub logs: Vec<Log>,
    /// Where the configuration names them.
    pub logs_place: Place,
    /// When it bans.
    pub rules: Rules,
    /// Names whose failures are not counted.
    pub ignored_names: Vec<Source>,
    /// Says of hosts whether their failures are not counted.
    pub ignore_command: Option<IgnoreCommand>,
    /// What its bans cover.
    pub scope: Scope,
}

/// Where to read the configuration.
#[derive(Clone, Copy, Debug)]
pub enum Folder<'a> {
    /// This one, which must exist.
    Given(&'a Path),
    /// [`DEFAULT_FOLDER`], or the compiled-in configuration where that has no jails.
    Default,
    /// The compiled-in configuration, whatever the machine has.
    CompiledIn,
}

/// Reads and checks the configuration.
///
/// # Errors
///
/// All problems found, each with its place and what to do; those of single jails only when one of them keeps the others from
/// running, or none is left.
pub fn load(folder: Folder<'_>, on_broken: OnBroken) -> Result<Settings, Problems> {
    let mut problems = Problems::default();
    let (path, source, tree) = match folder.existing()? {
        Some(path) => (path, path.display().to_string(), Tree::read(path)),
        None => (Path::new(DEFAULT_FOLDER), builtin::NAME.to_owned(), Tree::builtin()),
    };
    let toml = problems.absorb(blocker_toml::read(path)).unwrap_or_default();
    let (tree, unread) = tree;
    problems.0.extend(unread.0);
    let jails = jail::all(&tree);
    problems.0.extend(jails.problems.0);
    let (sound, broken) = (jails.sound, jails.broken);
    if on_broken == OnBroken::Refuse || sound.is_empty() {
        problems
            .0
            .extend(broken.iter().flat_map(|jail| jail.problems.0.iter().cloned()));
    }
    if sound.is_empty() && problems.0.is_empty() {
        let hint = "write `enabled = true` below a jail's heading in jail.local";
        problems.add(&Place::file(path), "no jail is enabled", hint);
    }
    let names = toml.allow.names.into_iter().map(Source::Name);
    let spf = toml.allow.spf.into_iter().map(Source::Spf);
    problems.once().or(Settings {
        source,
        firewall: toml.firewall.kind,
        interfaces: toml.firewall.interfaces,
        nftables_hook: toml.firewall.nftables_hook,
        sizes: Sizes {
            addresses: toml.firewall.max_addresses,
            networks: toml.firewall.max_networks,
        },
        end_connections: toml.firewall.end_connections,
        dry_run: false,
        metrics: toml.metrics.listen,
        page: PageSettings {
            wanted: toml.metrics.page,
            lines: toml.metrics.page_lines,
            hosts: toml.metrics.hosts,
        },
        allow: toml.allow.networks,
        state: toml.state.folder,
        history: toml.state.history,
        brake: Limits {
            bans_per_minute: toml.brake.max_bans_per_minute,
            share: toml.brake.max_share,
            share_from: toml.brake.share_from,
        },
        digest: toml.digest.into(),
        allow_looked_up: names.chain(spf).collect(),
        jails: sound,
        broken,
        warnings: jails.warnings.once(),
    })
}

/// The state folder alone, without a look at jails.
///
/// # Errors
///
/// What is wrong with `blocker.toml`.
pub fn state(folder: Folder<'_>) -> Result<PathBuf, Problems> {
    let path = folder.existing()?.unwrap_or(Path::new(DEFAULT_FOLDER));
    Ok(blocker_toml::read(path)?.state.folder)
}

/// Reads a length of time in fail2ban's notation: `600`, `10m`, `1d12h`.
///
/// # Errors
///
/// What is wrong with it.
pub fn length(text: &str) -> Result<SignedDuration, String> {
    duration::parse(text)
}

/// Reads the filter of this name, with parameters, as a jail of this configuration would use it.
#[must_use]
pub fn filter(folder: Folder<'_>, named: &Named) -> Partial {
    match folder.existing() {
        Ok(folder) => tree::filter(folder, named, LogType::File),
        Err(problem) => Problems::from(problem).into(),
    }
}

/// Whether there is a filter of this name, which [`filter`] would read.
#[must_use]
pub fn has_filter(folder: Folder<'_>, name: &str) -> bool {
    folder.existing().is_ok_and(|folder| tree::has_filter(folder, name))
}

/// Whether a file is of the compiled-in configuration, and not on the disk.
#[must_use]
pub fn is_compiled_in(file: &Path) -> bool {
    file.starts_with(builtin::NAME)
}

impl<'a> Folder<'a> {
    /// Checks that the folder is there, where one was given.
    ///
    /// # Errors
    ///
    /// When it is not, or is no folder, or cannot be looked into.
    pub fn check(self) -> Result<(), Problem> {
        self.existing().map(|_| ())
    }

    /// The folder to read, unless the compiled-in configuration applies. A folder that somebody has named and that is not there is a
    /// slip of the finger: to go on with other filters would be the wrong answer without a word.
    fn existing(self) -> Result<Option<&'a Path>, Problem> {
        let path = match self {
            Folder::Given(path) => path,
            Folder::Default => return Ok(Some(Path::new(DEFAULT_FOLDER)).filter(|path| Tree::exists(path))),
            Folder::CompiledIn => return Ok(None),
        };
        let what = match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => return Ok(Some(path)),
            Ok(_) => "is no folder".to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such folder".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        Err(Problem {
            place: Place::file(path),
            what,
            hint: "point --config at a folder laid out like /etc/fail2ban".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
