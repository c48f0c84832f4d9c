//! The configuration: a folder laid out like fail2ban's, and `blocker.toml` beside it, checked into typed settings.
//!
//! What was typed becomes [`Settings`] in one step, here; nothing half-checked travels on. `blocker check` and start-up run the
//! same code. Every problem is collected, each with file, line and what to do. The machine (interfaces, capabilities, whether
//! a log can be read) is looked at elsewhere.

mod action;
mod blocker_toml;
mod builtin;
mod duration;
mod jail;
mod ports;
mod tree;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

pub use self::blocker_toml::FirewallChoice;
use self::tree::Tree;
use crate::ban::Scope;
use crate::filter::Filter;
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
}

/// One jail.
#[derive(Debug)]
pub struct JailSettings {
    /// Its name.
    pub name: String,
    /// Finds failures in its lines.
    pub filter: Filter,
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
/// All problems found, each with its place and what to do.
pub fn load(folder: Folder<'_>) -> Result<Settings, Problems> {
    let mut problems = Problems::default();
    let default = Path::new(DEFAULT_FOLDER);
    let (folder, source, tree) = match folder {
        Folder::Given(folder) => (folder, folder.display().to_string(), Tree::read(folder)),
        Folder::Default if Tree::exists(default) => (default, DEFAULT_FOLDER.to_owned(), Tree::read(default)),
        Folder::Default => (default, builtin::NAME.to_owned(), builtin::tree()),
    };
    let toml = problems.absorb(blocker_toml::read(folder)).unwrap_or_default();
    let tree = problems.absorb(tree);
    let jails = tree.map(|tree| jail::all(&tree, &mut problems)).unwrap_or_default();
    if jails.is_empty() && problems.0.is_empty() {
        let hint = "write `enabled = true` below a jail's heading in jail.local";
        problems.add(&Place::file(folder), "no jail is enabled", hint);
    }
    problems.or(Settings {
        source,
        firewall: toml.firewall.kind,
        interfaces: toml.firewall.interfaces,
        max_bans: toml.firewall.max_bans,
        metrics: toml.metrics.listen,
        allow: toml.allow.networks,
        jails,
    })
}

#[cfg(test)]
mod tests;
