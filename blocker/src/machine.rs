//! What blocker needs of the machine: kernel, capabilities, interfaces, readable logs.
//!
//! Only looks; nothing is changed. `blocker check` and start-up look with the same eyes.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use caps::{CapSet, Capability};

use crate::config::{FirewallChoice, JailSettings};
use crate::firewall::interfaces::{self, Pattern};
use crate::source::{Log, journal};

/// First kernel that takes the XDP program: 5.18 brought `xdp.frags`.
const XDP_KERNEL: (u32, u32) = (5, 18);

/// What is wrong with the machine, one sentence each, with what to do.
#[must_use]
pub fn problems(choice: FirewallChoice, interfaces: &[Pattern], jails: &[JailSettings]) -> Vec<String> {
    let mut problems = capabilities(choice);
    problems.extend(kernel(choice));
    problems.extend(absent(interfaces));
    problems.extend(jails.iter().filter_map(logs));
    problems
}

fn capabilities(choice: FirewallChoice) -> Vec<String> {
    let needed: &[Capability] = match choice {
        FirewallChoice::Nftables => &[Capability::CAP_NET_ADMIN],
        FirewallChoice::Auto | FirewallChoice::Xdp => &[Capability::CAP_NET_ADMIN, Capability::CAP_BPF],
    };
    let lacks = |capability: &&Capability| !caps::has_cap(None, CapSet::Effective, **capability).unwrap_or(false);
    let missing: Vec<String> = needed.iter().filter(lacks).map(ToString::to_string).collect();
    match missing.as_slice() {
        [] => Vec::new(),
        missing => vec![format!("blocker lacks {}: run it as root", missing.join(" and "))],
    }
}

fn kernel(choice: FirewallChoice) -> Option<String> {
    if choice == FirewallChoice::Nftables {
        return None;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut numbers = release
        .split(|char: char| !char.is_ascii_digit())
        .map_while(|number| number.parse().ok());
    let version = (numbers.next()?, numbers.next()?);
    let old = version < XDP_KERNEL && choice == FirewallChoice::Xdp;
    old.then(|| {
        let (major, minor) = XDP_KERNEL;
        let release = release.trim();
        format!("XDP needs kernel {major}.{minor}, this is {release}: use --firewall nftables")
    })
}

/// A name is that of an interface which is there: so a typing error is found. A glob may mean one that comes later.
fn absent(patterns: &[Pattern]) -> Vec<String> {
    let names: Vec<&str> = patterns.iter().filter_map(Pattern::name).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let there: Vec<String> = match interfaces::list() {
        Ok(interfaces) => interfaces.into_iter().map(|interface| interface.name).collect(),
        Err(error) => return vec![format!("cannot list the network interfaces: {error}")],
    };
    let absent = names
        .into_iter()
        .filter(|name| !there.iter().any(|there| there == name));
    absent
        .map(|name| {
            format!(
                "there is no interface `{name}`; this machine has {}. For one that comes later, write a glob: `{name}*`",
                there.join(", ")
            )
        })
        .collect()
}

/// A jail needs one of its logs; the others may appear later.
fn logs(jail: &JailSettings) -> Option<String> {
    let mut failed = Vec::new();
    for log in &jail.logs {
        match readable(log) {
            Ok(()) => return None,
            Err(error) => failed.push(format!("{log}: {error}")),
        }
    }
    let JailSettings { name, logs_place, .. } = jail;
    Some(format!(
        "{logs_place}: jail [{name}] has no log to read ({}); correct `logpath`, or let blocker read the file",
        failed.join("; ")
    ))
}

fn readable(log: &Log) -> io::Result<()> {
    match log {
        Log::Files(path) => {
            let mut found = glob::glob(&path.to_string_lossy()).into_iter().flatten().flatten();
            readable_file(&found.next().unwrap_or_else(|| path.clone()))
        }
        Log::Journal(_) if journal::is_installed() => Ok(()),
        Log::Journal(_) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the program {} is not on this machine", journal::PROGRAM),
        )),
        Log::Input => Ok(()),
    }
}

fn readable_file(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // To open a pipe would wait for whoever writes to it.
    if metadata.is_file() {
        File::open(path)?;
    }
    Ok(())
}
