//! The show itself: line → failure → ban → drop, as it happens.

mod asked;

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use blocker_lab::postfix::Postfix;
use blocker_lab::smtp::Outcome;
use blocker_lab::tap::Tap;
use blocker_lab::{Lab, mail_log};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::agent::{Agent, Message};
use super::commands::Commands;
use super::hosts::{Hosts, spammers};
use super::screen::{Screen, Topic};
use super::tally::{Figures, Tally};
use super::{Arguments, metrics};

/// The hosts do not spam for ever, also where the agent is kept for somebody to ask it.
const LONGEST: Duration = Duration::from_secs(600);
/// How long the agent may take until it is ready, each of these for itself.
const READY: Duration = Duration::from_secs(20);
/// How long Postfix may take until it has rejected every spammer often enough.
const REJECTED: Duration = Duration::from_secs(20);
/// How long a ban may take after the failure that it is for.
const BANNED: Duration = Duration::from_secs(10);
/// How often the counters are shown.
const COUNTERS: Duration = Duration::from_secs(2);
/// Between two looks at Postfix's log.
const LOOK: Duration = Duration::from_millis(50);

/// Something happened in the sandbox.
#[derive(Debug)]
pub(crate) enum Event {
    /// The agent logged something.
    Agent(Message),
    /// The agent closed its log.
    AgentEnded,
    /// A spammer's mail was not rejected.
    Spam {
        /// Who.
        address: IpAddr,
        /// But what.
        outcome: Outcome,
    },
    /// A banned spammer tried to send.
    Insisted {
        /// Who.
        address: IpAddr,
        /// What became of it.
        outcome: Outcome,
    },
    /// The honest host sent mail.
    Honest {
        /// What became of it.
        outcome: Outcome,
    },
}

/// Shows blocker at work, and takes everything away again.
pub(crate) fn run(arguments: &Arguments, program: &Path) -> Result<ExitCode> {
    // From here on a signal only asks for the end, so that what was made is taken away whenever it comes.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let screen = Screen::new(arguments.json);
    let hold = arguments.hold || screen.is_watched();
    let mut show = Show::set_up(arguments, program, screen, stop)?;
    show.watch()?;
    let is_complete = !show.is_over();
    let tried = if is_complete { show.try_commands() } else { Vec::new() };
    if hold {
        show.go_on()?;
    }
    let figures = show.finish()?;
    if hold {
        show.keep_agent()?;
    }
    let screen = show.clear_away();

    screen.put(&figures.text());
    if arguments.json {
        println!("{}", figures.json(&tried));
    }
    if let Some(fault) = figures
        .fault()
        .filter(|_| is_complete || figures.banned_connects_after_ban > 0)
    {
        bail!("the show failed: {fault}");
    }
    if let Some(failed) = tried.iter().find(|tried| !tried.worked) {
        bail!(
            "the show failed: `blocker {}` does not work:{}",
            failed.name,
            failed.text()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that the show is made of. The order of the fields is that of their end.
struct Show {
    hosts: Hosts,
    tap: Tap,
    agent: Agent,
    postfix: Postfix,
    lab: Lab,
    log: mail_log::Reader,
    events: Receiver<Event>,
    tally: Tally,
    firewall: String,
    screen: Screen,
    stop: Arc<AtomicBool>,
    /// When the hosts began.
    begun: Instant,
    end: Instant,
    next_counters: Instant,
    commands: Commands,
    /// Whether it was said what can be typed meanwhile.
    pointed: bool,
}

impl Show {
    fn set_up(arguments: &Arguments, program: &Path, screen: Screen, stop: Arc<AtomicBool>) -> Result<Self> {
        ensure!(program.exists(), "{}: no such program", program.display());
        screen.line(
            Topic::Lab,
            "",
            "making a relay, hosts that spam and an honest host in network namespaces",
        );
        let lab = Lab::new()?;
        let postfix = Postfix::start(&lab)?;
        let log = mail_log::Reader::open(postfix.mail_log())?;
        screen.line(
            Topic::Lab,
            "",
            "a real Postfix listens on the relay; its log is what the agent reads",
        );

        let (report, events) = channel();
        let firewall = arguments.firewall.name();
        let mut agent = Agent::start(program, &lab, postfix.mail_log(), firewall, report.clone())?;
        let firewall = wait_until_ready(&mut agent, &events, &stop)?;
        screen.line(
            Topic::Lab,
            "",
            &format!("the agent is ready on the relay's eth0, firewall {firewall}"),
        );

        let tap = Tap::start(lab.spam(), 25)?;
        let hosts = Hosts::start(&lab, &report);
        let begun = Instant::now();
        Ok(Self {
            tally: Tally::new(&spammers(&lab)),
            end: begun + arguments.seconds.map_or(LONGEST, Duration::from_secs),
            next_counters: begun + COUNTERS,
            commands: Commands::new(program, lab.relay())?,
            pointed: false,
            hosts,
            tap,
            agent,
            postfix,
            lab,
            log,
            events,
            firewall,
            screen,
            stop,
            begun,
        })
    }

    /// Shows what happens until it is time to end.
    fn watch(&mut self) -> Result<()> {
        while Instant::now() < self.end && !self.is_over() {
            match self.events.recv_timeout(LOOK) {
                Ok(event) => self.event(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("all hosts have stopped"),
            }
            self.read_log()?;
            self.complain_if_late()?;
            if Instant::now() >= self.next_counters {
                self.show_counters();
                self.next_counters += COUNTERS;
            }
            if !self.pointed && self.tally.all_are_banned() {
                self.pointed = true;
                self.point();
            }
        }
        Ok(())
    }

    /// Whether somebody wants it to end.
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Agent(Message::Ready { .. }) => {}
            Event::Agent(Message::Banned { who, until, failures }) => {
                // Lines that Postfix wrote before the ban are not to be held against it. The agent has read the reject that
                // the ban is for from this same file, so whatever came before is in it too.
                self.read_log()?;
                for address in spammers(&self.lab).into_iter().filter(|&address| who.contains(address)) {
                    let text = format!("after {failures} failures, until {until}");
                    self.screen.line(Topic::Ban, &address.to_string(), &text);
                    self.tally.banned(address);
                    self.tap.restart(address);
                    self.hosts.banned(address);
                }
            }
            Event::Agent(Message::Unbanned { who }) => {
                for address in spammers(&self.lab).into_iter().filter(|&address| who.contains(address)) {
                    self.screen.line(Topic::Unban, &address.to_string(), "");
                }
            }
            Event::AgentEnded => bail!("the agent ended; its last lines:\n{}", self.agent.last_lines()),
            Event::Spam { address, outcome } => {
                let text = format!("its mail was not rejected but: {outcome:?}");
                self.screen.line(Topic::Alarm, &address.to_string(), &text);
            }
            Event::Insisted { address, outcome } => {
                self.tally.insisted(address, &outcome);
                if outcome != Outcome::NoAnswer {
                    let text = format!("banned, and yet somebody answered: {outcome:?}");
                    self.screen.line(Topic::Alarm, &address.to_string(), &text);
                }
            }
            Event::Honest { outcome } => {
                if outcome != Outcome::Accepted {
                    self.screen.line(
                        Topic::Alarm,
                        "honest host",
                        &format!("its mail was not accepted: {outcome:?}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// Takes in what Postfix has logged since the last call.
    fn read_log(&mut self) -> Result<bool> {
        let lines = self.log.lines()?;
        for event in lines.iter().filter_map(|line| mail_log::Event::parse(line)) {
            self.tally.logged(&event);
            match event {
                mail_log::Event::Reject { address, reply } => {
                    self.screen.line(Topic::Reject, &address.to_string(), &reply);
                }
                // The others are in the counters' line.
                mail_log::Event::Sent { to } if self.tally.deliveries() == 1 => {
                    self.screen.line(
                        Topic::Mail,
                        "honest host",
                        &format!("the first mail is delivered to {to}"),
                    );
                }
                mail_log::Event::Sent { .. } | mail_log::Event::Connect { .. } => {}
            }
        }
        Ok(!lines.is_empty())
    }

    fn complain_if_late(&self) -> Result<()> {
        if let Some(address) = self.tally.overdue(BANNED) {
            let seconds = BANNED.as_secs();
            let last = self.agent.last_lines();
            bail!("no ban of {address} within {seconds} s of its last failure; the agent's last lines:\n{last}");
        }
        if self.begun.elapsed() > REJECTED
            && let Some(address) = self.tally.unrejected()
        {
            bail!(
                "Postfix did not reject {address} often enough within {} s",
                REJECTED.as_secs()
            );
        }
        Ok(())
    }

    fn show_counters(&self) {
        let banned = self.tally.banned_hosts().count();
        if banned == 0 {
            return;
        }
        let dropped = self.dropped_packets();
        let own = metrics::dropped(self.lab.relay()).map_or("?".to_owned(), |own| own.to_string());
        let hosts = if banned == 1 {
            "1 host"
        } else {
            &format!("{banned} hosts")
        };
        let deliveries = self.tally.deliveries();
        let text =
            format!("{dropped:>4} packets dropped (the agent counts {own:>4}); {deliveries:>3} honest mails delivered");
        self.screen.line(Topic::Drop, hosts, &text);
    }

    /// Packets of banned hosts that left them and got no answer.
    fn dropped_packets(&self) -> u64 {
        self.tally
            .banned_hosts()
            .map(|address| self.tap.count(address).unanswered)
            .sum()
    }

    /// Stops the hosts, lets Postfix finish what it has begun, and counts.
    fn finish(&mut self) -> Result<Figures> {
        let time = self.begun.elapsed();
        self.hosts.stop();
        while let Ok(event) = self.events.try_recv() {
            self.event(event)?;
        }
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut quiet = 0;
        while quiet < 6 && Instant::now() < deadline {
            std::thread::sleep(LOOK);
            quiet = if self.read_log()? { 0 } else { quiet + 1 };
        }
        Ok(self.tally.figures(&self.firewall, self.dropped_packets(), time))
    }

    /// Takes everything away, so that the summary is the last word.
    fn clear_away(mut self) -> Screen {
        self.agent.stop();
        self.postfix.stop();
        self.screen
    }
}

/// Waits for the agent's first word, and returns the firewall that it names.
fn wait_until_ready(agent: &mut Agent, events: &Receiver<Event>, stop: &AtomicBool) -> Result<String> {
    let deadline = Instant::now() + READY;
    while Instant::now() < deadline {
        ensure!(!stop.load(Ordering::Relaxed), "interrupted");
        match events.recv_timeout(LOOK) {
            Ok(Event::Agent(Message::Ready { firewall })) => return Ok(firewall),
            Ok(Event::AgentEnded) => {
                agent.stop();
                bail!("the agent does not start; it says:\n{}", agent.last_lines());
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let last = agent.last_lines();
    Err(anyhow::Error::msg(last))
        .with_context(|| format!("the agent is not ready after {} s; its last lines", READY.as_secs()))
}
