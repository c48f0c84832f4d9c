//! What blocker needs of the machine: kernel, capabilities, interfaces, readable logs.
//!
//! Only looks; nothing is changed. `blocker check` and start-up look with the same eyes.

use std::fs::{self, File};
use std::path::Path;

use caps::{CapSet, Capability};

use crate::config::{FirewallChoice, JailSettings};

/// First kernel that takes the XDP program: 5.18 brought `xdp.frags`.
const XDP_KERNEL: (u32, u32) = (5, 18);

/// What is wrong with the machine, one sentence each, with what to do.
#[must_use]
pub fn problems(choice: FirewallChoice, interfaces: &[String], jails: &[JailSettings]) -> Vec<String> {
    let mut problems = capabilities(choice);
    problems.extend(kernel(choice));
    problems.extend(interfaces.iter().filter_map(|name| interface(name)));
    problems.extend(jails.iter().filter_map(logs));
    problems
}

/// The interfaces with a default route of either IP version.
#[must_use]
pub fn default_interfaces() -> Vec<String> {
    // <https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html> and its neighbours do not describe these two files;
    // their columns are those of `fib_route_seq_show` and `rt6_info_route` in the kernel.
    let (ipv4, ipv6) = ("/proc/net/route", "/proc/net/ipv6_route");
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    names.extend(read(ipv4).lines().filter_map(|line| {
        let mut columns = line.split_whitespace();
        let (name, destination) = (columns.next()?, columns.next()?);
        (destination == "00000000").then(|| name.to_owned())
    }));
    names.extend(read(ipv6).lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [destination, prefix_len, .., name] = columns.as_slice() else {
            return None;
        };
        let default = *prefix_len == "00" && destination.bytes().all(|byte| byte == b'0');
        (default && *name != "lo").then(|| (*name).to_owned())
    }));
    names.sort();
    names.dedup();
    names
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

fn interface(name: &str) -> Option<String> {
    if nix::net::if_::if_nametoindex(name).is_ok() {
        return None;
    }
    let there: Vec<String> = nix::net::if_::if_nameindex()
        .map(|all| {
            all.iter()
                .map(|each| each.name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    Some(format!(
        "there is no interface `{name}`; this machine has {}",
        there.join(", ")
    ))
}

/// A jail needs one of its logs; the others may appear later.
fn logs(jail: &JailSettings) -> Option<String> {
    let mut failed = Vec::new();
    for log in &jail.logs {
        match readable(log) {
            Ok(()) => return None,
            Err(error) => failed.push(format!("{}: {error}", log.display())),
        }
    }
    let JailSettings { name, logs_place, .. } = jail;
    Some(format!(
        "{logs_place}: jail [{name}] has no log to read ({}); correct `logpath`, or let blocker read the file",
        failed.join("; ")
    ))
}

fn readable(log: &Path) -> std::io::Result<()> {
    let metadata = File::open(log)?.metadata()?;
    if metadata.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    Ok(())
}
