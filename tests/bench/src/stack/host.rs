//! A host with one filter, and frames on its loopback.

use std::fs;
use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use aya::programs::ProgramFd;
use blocker_lab::command::ip_batch;
use blocker_lab::network::RELAY;
use blocker_lab::{Lab, Namespace};

use super::filter::{Filter, Kept};
use super::rules::Tools;
use crate::kernel::hosts::{PORT, Version};
use crate::kernel::ours;
use crate::kernel::program::Run;
use crate::kernel::sender::{Frames, Sender, Stream};
use crate::kernel::stay_on_one_processor;

/// Frames of one measurement.
const FRAMES: u32 = 20_000;

/// A host, what is on it, and who sends to it.
pub(super) struct Host {
    pub(super) filter: Filter,
    banned: Sender,
    honest: Sender,
    _server: Option<TcpListener>,
    // Dropped in this order: the namespace has to outlive what is on it.
    _kept: Option<Kept>,
    namespace: Namespace,
}

impl Host {
    pub(super) fn new(lab: &Lab, n: usize, filter: Filter, tools: &Tools) -> Result<Self> {
        let namespace = lab.host(&format!("f{n}"), &[])?;
        prepare(&namespace)?;
        let inside = || {
            let server = (filter != Filter::Closed)
                .then(|| TcpListener::bind((RELAY, PORT)))
                .transpose()?;
            anyhow::Ok((server, filter.put(&namespace, "lo", tools)?))
        };
        let (server, kept) = namespace
            .enter(inside)?
            .with_context(|| format!("cannot put a filter in place: {}", filter.name()))?;
        let (banned, honest) = senders(filter)?;
        let host = Self {
            filter,
            banned,
            honest,
            _server: server,
            _kept: kept,
            namespace,
        };
        host.check()?;
        Ok(host)
    }

    pub(super) const fn name(&self) -> &'static str {
        self.filter.name()
    }

    /// What a banned SYN takes, in nanoseconds.
    pub(super) fn banned(&self) -> Result<f64> {
        self.send(&self.banned, FRAMES)
    }

    /// What an honest SYN takes, in nanoseconds.
    pub(super) fn honest(&self) -> Result<f64> {
        self.send(&self.honest, FRAMES)
    }

    /// Has the kernel throw away what it routes: from now on nothing on this host is for the host.
    pub(super) fn forget_address(&self) -> Result<()> {
        ip_batch(self.namespace.name(), &format!("address del {RELAY}/32 dev lo\n"))
    }

    fn send(&self, sender: &Sender, frames: u32) -> Result<f64> {
        let inside = || {
            stay_on_one_processor()?;
            sender.cost(frames, Run::IntoStack)
        };
        self.namespace.enter(inside)?
    }

    /// Makes sure that banned hosts get no answer, but for the one that is on the allowlist, and honest ones do.
    fn check(&self) -> Result<()> {
        let answers = || -> Result<u64> {
            let snmp = self
                .namespace
                .enter(|| fs::read_to_string("/proc/thread-self/net/snmp"))??;
            sent_segments(&snmp).context("the kernel does not count TCP segments")
        };
        let before = answers()?;
        // All of them: where each is counted, the first packet of a host takes more than those that follow.
        self.send(&self.banned, self.filter.bans())?;
        let to_banned = answers()? - before;
        self.send(&self.honest, 1000)?;
        let to_honest = answers()? - before - to_banned;
        let is_open = matches!(self.filter, Filter::None | Filter::Closed);
        ensure!(
            to_honest > 1 && is_open == (to_banned > 1),
            "{}: {to_banned} SYNs of banned hosts were answered, and {to_honest} of honest ones",
            self.name()
        );
        Ok(())
    }
}

/// Segments and resets that the host has sent, from `/proc/net/snmp`.
fn sent_segments(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let counts = names.split_whitespace().zip(values.split_whitespace());
    counts
        .filter(|(name, _)| ["OutSegs", "OutRsts"].contains(name))
        .map(|(_, value)| value.parse::<u64>().ok())
        .sum()
}

/// Gives the host an address, and a way out for its answers that throws them away.
pub(super) fn prepare(namespace: &Namespace) -> Result<()> {
    let batch = format!(
        "address add {RELAY}/32 dev lo\nlink add out type ifb\nlink set out up\nroute add 45.0.0.0/8 dev out\n"
    );
    ip_batch(namespace.name(), &batch)?;
    let open = || {
        for interface in ["all", "lo", "eth0"] {
            fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter"), "0")?;
        }
        anyhow::Ok(())
    };
    namespace
        .enter(open)?
        .context("cannot have packets of foreign hosts taken")
}

/// Of banned hosts, and of as many others.
fn senders(filter: Filter) -> Result<(Sender, Sender)> {
    let hosts = filter.bans();
    let stream = |first| Stream {
        version: Version::Ipv4,
        first,
        hosts,
        port: PORT,
    };
    if filter != Filter::Native {
        return Ok((Sender::into_stack(stream(0))?, Sender::into_stack(stream(hosts))?));
    }
    let mut xdp = ours::load(Version::Ipv4, hosts)?;
    // The senders hold the program, and the program its maps.
    let program: ProgramFd = ours::fd(&mut xdp)?;
    let into = |first| Sender::into_program(stream(first), Frames::Split, &program);
    Ok((into(0)?, into(hosts)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_with_resets() {
        let snmp = "Ip: Forwarding\nIp: 1\nTcp: InSegs OutSegs OutRsts\nTcp: 9 4 3\nUdp: InDatagrams\nUdp: 0\n";
        assert_eq!(sent_segments(snmp), Some(7));
        assert_eq!(sent_segments("Ip: Forwarding\n"), None);
    }
}
