//! The agent under way on the relay, and the lines it logs.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use blocker_lab::Lab;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::metrics;
use super::show::Event;

/// How many of its last lines are kept, to be shown should it die.
const KEPT: usize = 12;

const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// The agent's process; it is ended with this value.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    last: Arc<Mutex<VecDeque<String>>>,
}

impl Agent {
    /// Starts the agent on the relay, with an operator's fail2ban configuration over the given log.
    pub(crate) fn start(
        program: &Path,
        lab: &Lab,
        mail_log: &Path,
        firewall: &str,
        events: Sender<Event>,
    ) -> Result<Self> {
        let configuration = configure(lab.folder(), mail_log).context("cannot write the agent's configuration")?;
        let mut command = lab.relay().command(program);
        command.arg("run").arg("--config").arg(configuration);
        command.args([
            "--interface",
            "eth0",
            "--firewall",
            firewall,
            "--metrics",
            &metrics::ADDRESS.to_string(),
        ]);
        command.arg("--state").arg(lab.folder().join("state"));
        // Ctrl-C in a terminal goes to a whole process group; the agent is to be stopped in its turn, and not by that.
        command.env("NO_COLOR", "1").process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let log = child.stderr.take().context("the agent's log is a pipe")?;
        let last = Arc::default();
        thread::spawn({
            let last = Arc::clone(&last);
            move || listen(log, &last, &events)
        });
        Ok(Self { child, last })
    }

    /// The last lines that it logged.
    pub(crate) fn last_lines(&self) -> String {
        let lines = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .map(|line| format!("    {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Ends it and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        let deadline = Instant::now() + STOP_DEADLINE;
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), i32::try_from(self.child.id())) {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!("The agent does not stop; it is killed.");
                let _gone = self.child.kill();
                let _reaped = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Writes what an operator has below `/etc/fail2ban`; only the log is the lab's.
fn configure(folder: &Path, mail_log: &Path) -> Result<PathBuf> {
    let configuration = folder.join("config");
    fs::create_dir_all(configuration.join("filter.d"))?;
    let jail = include_str!("config/jail.conf").replace("/var/log/mail.log", &mail_log.display().to_string());
    fs::write(configuration.join("jail.conf"), jail)?;
    fs::write(
        configuration.join("filter.d/spam.conf"),
        include_str!("config/spam.conf"),
    )?;
    Ok(configuration)
}

/// Hands on what the agent logs, until it closes its log.
fn listen(log: ChildStderr, last: &Mutex<VecDeque<String>>, events: &Sender<Event>) {
    for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == KEPT {
                last.pop_front();
            }
            last.push_back(line.clone());
        }
        if let Some(message) = Message::parse(&line) {
            drop(events.send(Event::Agent(message)));
        }
    }
    drop(events.send(Event::AgentEnded));
}

/// A line of the agent's log that the show is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// `ready … firewall=xdp`
    Ready {
        /// What enforces the bans.
        firewall: String,
    },
    /// `banned jail=spam address=192.0.2.7 until=… failures=2 firewall=xdp`
    Banned {
        /// Who.
        who: Prefix,
        /// When the ban ends, in the agent's words.
        until: String,
        /// The failures that led to it, in the agent's words.
        failures: String,
    },
    /// `unbanned jail=spam address=192.0.2.7`
    Unbanned {
        /// Who.
        who: Prefix,
    },
}

impl Message {
    /// Reads a line of the log; none when it is about something else.
    fn parse(line: &str) -> Option<Self> {
        let words = || line.split_whitespace();
        let fields: HashMap<&str, &str> = words().filter_map(|word| word.split_once('=')).collect();
        let field = |name| fields.get(name).map(|value| value.trim_matches('"').to_owned());
        let event = words().find(|word| ["ready", "banned", "unbanned"].contains(word))?;
        if event == "ready" {
            return Some(Self::Ready {
                firewall: field("firewall")?,
            });
        }
        let who = Prefix::parse(&field("address")?)?;
        if event == "unbanned" {
            return Some(Self::Unbanned { who });
        }
        Some(Self::Banned {
            who,
            until: field("until").unwrap_or_default(),
            failures: field("failures").unwrap_or_default(),
        })
    }
}

/// The addresses that a ban is about: one, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    address: IpAddr,
    length: u32,
}

impl Prefix {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address.parse().ok()?, length.parse().ok()?),
            None => (text.parse().ok()?, 128),
        };
        Some(Self { address, length })
    }

    /// Whether an address is one of them.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let differ = a.to_bits() ^ b.to_bits();
                differ.leading_zeros() >= self.length.min(32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let differ = a.to_bits() ^ b.to_bits();
                differ.leading_zeros() >= self.length.min(128)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_lines_that_matter_are_understood() {
        let ban = "2026-11-24T04:00:00Z  INFO banned jail=spam address=192.0.2.7 until=2026-11-24T05:00:00Z failures=2 \
                   firewall=xdp";
        let Some(Message::Banned { who, until, failures }) = Message::parse(ban) else {
            panic!("not understood: {ban}");
        };
        assert_eq!((until.as_str(), failures.as_str()), ("2026-11-24T05:00:00Z", "2"));
        assert!(who.contains("192.0.2.7".parse().unwrap()));
        assert!(!who.contains("192.0.2.6".parse().unwrap()));
        let ready = "2026-11-24T04:00:00Z  INFO ready jails=1 firewall=xdp";
        let firewall = "xdp".to_owned();
        assert_eq!(Message::parse(ready), Some(Message::Ready { firewall }));
        assert_eq!(
            Message::parse("2026-11-24T04:00:00Z  INFO reading path=/var/log/mail.log"),
            None
        );
    }

    #[test]
    fn a_ban_of_a_network_is_one_of_its_hosts() {
        let network = Prefix::parse("2001:db8:0:bad::/64").unwrap();
        assert!(network.contains("2001:db8:0:bad::7".parse().unwrap()));
        assert!(!network.contains("2001:db8::1".parse().unwrap()));
        assert!(!network.contains("192.0.2.7".parse().unwrap()));
        assert!(
            Prefix::parse("192.0.2.0/24")
                .unwrap()
                .contains("192.0.2.7".parse().unwrap())
        );
    }
}
