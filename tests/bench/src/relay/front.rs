//! What stands in front of the relay: nothing, fail2ban or blocker, the last two with the same jail.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Result;
use blocker_tests::agent::{Agent, program};

use super::processor::Group;
use super::scene::Scene;
use crate::agent::NO_BRAKE;
use crate::bench::Ground;
use crate::fail2ban::{self, Fail2ban};

/// How often a host may fail: fail2ban's own default. A Postfix under stress hangs up at the first error and says so in a line of its own,
/// which the filter counts too.
const MAX_RETRY: u32 = 5;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    Fail2ban,
    Blocker,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Nothing, Self::Fail2ban, Self::Blocker];

    /// In tables and in the chart.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing in front",
            Self::Fail2ban => "fail2ban",
            Self::Blocker => "blocker",
        }
    }
}

/// It is ended with this value.
pub(super) struct Front {
    program: Option<Program>,
    // Outlives what is in it.
    group: Group,
}

enum Program {
    Fail2ban(Box<Fail2ban>),
    Blocker(Agent),
}

impl Front {
    /// Starts it on the relay, and returns when it reads Postfix's log.
    pub(super) fn start(kind: Kind, ground: &Ground, scene: &Scene) -> Result<Self> {
        let group = Group::new("front")?;
        let log = scene.mail_log();
        let program = match kind {
            Kind::Nothing => None,
            Kind::Fail2ban => {
                let mut fail2ban = Fail2ban::on(ground, &scene.lab, |_| Ok(jail(log)))?;
                crate::agent::until(fail2ban::POLL, || Ok(fail2ban.said("started")? > 0))?;
                group.take(fail2ban.id())?;
                Some(Program::Fail2ban(Box::new(fail2ban)))
            }
            Kind::Blocker => {
                let agent = blocker(ground, scene, log)?;
                group.take(agent.id())?;
                Some(Program::Blocker(agent))
            }
        };
        Ok(Self { program, group })
    }

    /// The hosts that it has said to have banned, in that order.
    pub(super) fn banned(&mut self) -> Result<Vec<Ipv4Addr>> {
        match &mut self.program {
            None => Ok(Vec::new()),
            Some(Program::Fail2ban(fail2ban)) => Ok(hosts(fail2ban.lines()?, "] Ban ")),
            Some(Program::Blocker(agent)) => Ok(hosts(
                agent
                    .said()
                    .iter()
                    .map(String::as_str)
                    .filter(|line| line.contains(" banned ")),
                "address=",
            )),
        }
    }

    /// Seconds of the processor's time that it has taken, with what it has started.
    pub(super) fn seconds(&self) -> Result<f64> {
        self.group.seconds()
    }
}

/// What both are told: fail2ban's own filter and its action for nftables, from its package.
fn jail(log: &Path) -> String {
    format!(
        "[postfix]\nenabled = true\nfilter = postfix[mode=more]\nlogpath = {}\nport = 25,465,587\nfindtime = 10m\n\
         bantime = 1h\nmaxretry = {MAX_RETRY}\naction = nftables[type=multiport, name=postfix, port=\"25,465,587\"]\n",
        log.display()
    )
}

fn blocker(ground: &Ground, scene: &Scene, log: &Path) -> Result<Agent> {
    let config = scene.lab.folder().join("config");
    fail2ban::configure(ground, &config, &jail(log))?;
    // The brake has no part in this: fail2ban has none, and nearly everybody in this log spams.
    fs::write(config.join("blocker.toml"), NO_BRAKE)?;
    let mut command = scene.lab.relay().command(program());
    command.arg("run").arg("--config").arg(config);
    command.args(["--interface", "eth0", "--firewall", "xdp"]);
    command.arg("--state").arg(scene.lab.folder().join("state"));
    let mut agent = Agent::start(command);
    agent.says(&[" ready "]);
    Ok(agent)
}

/// The addresses behind a word.
fn hosts<'a>(lines: impl Iterator<Item = &'a str>, word: &str) -> Vec<Ipv4Addr> {
    lines
        .filter_map(|line| line.split_once(word)?.1.split_whitespace().next()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tell_whom_they_ban() {
        let theirs = "2026-11-28 06:00:00,000 fail2ban.actions [7]: NOTICE  [postfix] Ban 198.51.100.20\n\
                      2026-11-28 06:00:00,001 fail2ban.filter [7]: INFO    [postfix] Found 198.51.100.21 - 2026-11-28 06:00:00";
        let ours = "2026-11-28T06:00:00Z  INFO banned jail=postfix address=198.51.100.20 until=2026-11-28T07:00:00Z failures=5";
        let expected = [Ipv4Addr::new(198, 51, 100, 20)];
        assert_eq!(hosts(theirs.lines(), "] Ban "), expected);
        assert_eq!(hosts(ours.lines(), "address="), expected);
    }
}
