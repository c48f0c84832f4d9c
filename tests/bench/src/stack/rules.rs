//! What a postmaster would write by hand: rules, and sets of ipset's and of nftables.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use blocker_lab::Namespace;

use crate::kernel::hosts::{PORT, ipv4};
use crate::kernel::xdp_filter;
use crate::peers::{Peer, Peers};

/// What `iptables-nft` needs beside the machine's own.
const LIBRARIES: [&str; 7] = [
    "libip4tc2",
    "libip6tc2",
    "libxtables12",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libmnl0",
];

/// Which of the two programs called iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tables {
    Legacy,
    Nft,
}

/// The peers.
pub(super) struct Tools {
    iptables: Peer,
    ipset: Peer,
    pub(super) xdp: Peer,
}

impl Tools {
    pub(super) fn unpack(peers: &Peers) -> Result<Self> {
        let nft = Command::new("nft").arg("--version").output().context("nft")?;
        let version = String::from_utf8_lossy(&nft.stdout);
        peers.note(version.split(" (").next().unwrap_or_default().trim().to_owned());
        Ok(Self {
            iptables: peers.unpack("iptables", &LIBRARIES)?,
            ipset: peers.unpack("ipset", &["libipset13", "libmnl0"])?,
            xdp: xdp_filter::unpack(peers)?,
        })
    }

    /// One rule for each of so many hosts.
    pub(super) fn rules(&self, host: &Namespace, tables: Tables, count: u32) -> Result<()> {
        let mut text = String::from("*filter\n:INPUT ACCEPT [0:0]\n");
        for number in 0..count {
            let _ = writeln!(
                text,
                "-A INPUT -s {}/32 -p tcp -m tcp --dport {PORT} -j DROP",
                ipv4(number)
            );
        }
        text += "COMMIT\n";
        self.restore(host, tables, &text)
    }

    /// A set of so many hosts, and one rule.
    pub(super) fn ipset(&self, host: &Namespace, count: u32) -> Result<()> {
        let mut text = String::from("create banned hash:ip maxelem 1048576 timeout 86400\n");
        for number in 0..count {
            let _ = writeln!(text, "add banned {}", ipv4(number));
        }
        let mut ipset = host.command(self.ipset.path("usr/sbin/ipset"));
        fed(ipset.arg("restore").envs(self.ipset.environment()), &text)?;
        let rule = format!(
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport {PORT} -m set --match-set banned src -j DROP\nCOMMIT\n"
        );
        self.restore(host, Tables::Legacy, &rule)
    }

    fn restore(&self, host: &Namespace, tables: Tables, text: &str) -> Result<()> {
        let program = match tables {
            Tables::Legacy => "usr/sbin/iptables-legacy-restore",
            Tables::Nft => "usr/sbin/iptables-nft-restore",
        };
        let mut restore = host.command(self.iptables.path(program));
        fed(restore.envs(self.iptables.environment()), text)
    }
}

/// A set of so many hosts that end by themselves, and one rule. `place` is the table's family and the chain's hook.
pub(super) fn nft(host: &Namespace, place: &str, set: &str, count: u32) -> Result<()> {
    let (family, hook) = place.split_once('|').context("a family and a hook")?;
    let elements: Vec<String> = (0..count).map(|number| ipv4(number).to_string()).collect();
    let text = format!(
        "{family} filter {{
            set banned {{ type ipv4_addr; flags timeout; timeout 1d; size 1048576; {set} elements = {{ {} }} }}
            chain packets {{
                type filter {hook}; policy accept;
                tcp dport {{ {PORT}, 465, 587 }} ip saddr @banned counter drop
            }}
        }}\n",
        elements.join(", ")
    );
    fed(host.command("nft").args(["-f", "-"]), &text)
}

/// Runs a command that reads this.
fn fed(command: &mut Command, text: &str) -> Result<()> {
    let name = command.get_program().display().to_string();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that fails early closes the pipe; what it has to say about that comes below.
        let _closed_early = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", said.trim());
    Ok(())
}
