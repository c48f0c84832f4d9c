//! The configuration: a folder laid out like fail2ban's, and `blocker.toml` beside it, checked into typed settings.
//!
//! What was typed becomes [`Settings`] in one step, here; nothing half-checked travels on. `blocker check` and start-up run the
//! same code. Every problem is collected, each with file, line and what to do. The machine (interfaces, capabilities, whether
//! a log can be read) is looked at elsewhere.

mod blocker_toml;
mod builtin;
mod duration;
mod jail;
mod ports;
mod tree;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::tz::TimeZone;

pub use self::blocker_toml::FirewallChoice;
use self::tree::Tree;
use crate::ban::Scope;
use crate::filter::Filter;
use crate::filter::definition::{LogType, Partial};
use crate::filter::parameters::Named;
use crate::jail::Rules;
use crate::problem::{Place, Problems};

/// Where the configuration lies unless told otherwise.
pub const DEFAULT_FOLDER: &str = "/etc/blocker";

/// Everything the agent needs to know.
#[derive(Debug)]
pub struct Settings {
    /// Where they came from, for people.
    pub source: String,
    /// Which firewall enforces bans.
    pub firewall: FirewallChoice,
    /// Interfaces that XDP is attached to; empty for those with a default route.
    pub interfaces: Vec<String>,
    /// Banned addresses that the kernel has room for, of each IP version.
    pub max_bans: u32,
    /// Where Prometheus metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Networks that no ban may cover.
    pub allow: Vec<IpNet>,
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
    /// Its log files; at least one.
    pub logs: Vec<PathBuf>,
    /// Where the configuration names them.
    pub logs_place: Place,
    /// When it bans.
    pub rules: Rules,
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
}

/// Reads and checks the configuration.
///
/// # Errors
///
/// All problems found, each with its place and what to do; those of single jails only when one of them keeps the others from
/// running, or none is left.
pub fn load(folder: Folder<'_>, on_broken: OnBroken) -> Result<Settings, Problems> {
    let mut problems = Problems::default();
    let (path, source, tree) = match folder.existing() {
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
    problems.once().or(Settings {
        source,
        firewall: toml.firewall.kind,
        interfaces: toml.firewall.interfaces,
        max_bans: toml.firewall.max_bans,
        metrics: toml.metrics.listen,
        allow: toml.allow.networks,
        jails: sound,
        broken,
        warnings: jails.warnings.once(),
    })
}

/// Reads the filter of this name, with parameters, as a jail of this configuration would use it.
#[must_use]
pub fn filter(folder: Folder<'_>, named: &Named) -> Partial {
    tree::filter(folder.existing(), named, LogType::File)
}

impl<'a> Folder<'a> {
    /// The folder to read, unless the compiled-in configuration applies.
    fn existing(self) -> Option<&'a Path> {
        match self {
            Folder::Given(path) => Some(path),
            Folder::Default => Some(Path::new(DEFAULT_FOLDER)).filter(|path| Tree::exists(path)),
        }
    }
}

#[cfg(test)]
mod tests;
