//! The hosts that send mail: spammers that take no hint, and an honest one.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use blocker_lab::postfix::POSTMASTER;
use blocker_lab::smtp::{Outcome, Timeouts, attempt};
use blocker_lab::{Lab, Namespace, network};

use super::show::Event;

/// How often a spammer has to be rejected until it is to be banned: `maxretry` in the jail.
pub(crate) const REJECTS: u32 = 2;

/// Between two mails, so that the show stays readable and the load small.
const SPAM_PAUSE: Duration = Duration::from_millis(700);
const HONEST_PAUSE: Duration = Duration::from_secs(1);

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_millis(400),
    reply: Duration::from_secs(3),
};

/// The hosts at work; they stop with this value.
#[derive(Debug)]
pub(crate) struct Hosts {
    hosts: Vec<Host>,
}

/// A thread in a host's namespace.
#[derive(Debug)]
struct Host {
    address: IpAddr,
    // A word on it means that the host was banned, its end that the host shall stop.
    banned: Sender<()>,
    thread: JoinHandle<Result<()>>,
}

/// The addresses that spam in this lab.
pub(crate) fn spammers(lab: &Lab) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = network::SPAMMERS.map(IpAddr::from).to_vec();
    if lab.has_ipv6() {
        addresses.push(network::SPAMMER_V6.into());
    }
    addresses
}

impl Hosts {
    /// Sets the hosts to work.
    pub(crate) fn start(lab: &Lab, events: &Sender<Event>) -> Self {
        let mut hosts = Vec::new();
        for (number, address) in spammers(lab).into_iter().enumerate() {
            // Not all at once, which would be hard to read.
            let delay = SPAM_PAUSE * u32::try_from(number).unwrap_or(0) / 3;
            hosts.push(host(lab.spam(), address, events, move |address, events, banned| {
                if pause(banned, delay) == Word::Stop {
                    return;
                }
                spam(address, events, banned);
            }));
        }
        hosts.push(host(lab.honest(), network::HONEST.into(), events, be_honest));
        Self { hosts }
    }

    /// Lets a spammer know that it was banned: it tries again from now on.
    pub(crate) fn banned(&self, address: IpAddr) {
        for host in self.hosts.iter().filter(|host| host.address == address) {
            // A host that is gone has said so.
            let _gone = host.banned.send(());
        }
    }

    /// Stops them, and returns when the last one has hung up.
    pub(crate) fn stop(&mut self) {
        let threads: Vec<_> = self.hosts.drain(..).map(|host| host.thread).collect();
        for thread in threads {
            // A panic of its own was reported when it happened.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.stop();
    }
}

fn host(
    place: &Namespace,
    address: IpAddr,
    events: &Sender<Event>,
    life: impl FnOnce(IpAddr, &Sender<Event>, &Receiver<()>) + Send + 'static,
) -> Host {
    let (banned, hear) = channel();
    let events = events.clone();
    Host {
        address,
        banned,
        thread: place.spawn(move || life(address, &events, &hear)),
    }
}

/// Sends spam until it was rejected often enough, waits for the ban, and then tries on.
///
/// The wait matters: there is no connection under way when the ban comes, so that each one that Postfix sees afterwards came
/// through the ban.
fn spam(address: IpAddr, events: &Sender<Event>, banned: &Receiver<()>) {
    let mut rejects = 0;
    for domain in 0.. {
        let recipient = format!("a@domain{}.com", domain % 4 + 1);
        match send(address, "x@spam.example", &recipient) {
            Outcome::Rejected(_) => rejects += 1,
            outcome => drop(events.send(Event::Spam { address, outcome })),
        }
        if rejects >= REJECTS {
            break;
        }
        match pause(banned, SPAM_PAUSE) {
            Word::Banned => return insist(address, events, banned),
            Word::Stop => return,
            Word::None => {}
        }
    }
    if banned.recv().is_ok() {
        insist(address, events, banned);
    }
}

/// Goes on sending although banned.
fn insist(address: IpAddr, events: &Sender<Event>, banned: &Receiver<()>) {
    loop {
        let outcome = send(address, "x@spam.example", "a@domain1.com");
        drop(events.send(Event::Insisted { address, outcome }));
        if pause(banned, SPAM_PAUSE) == Word::Stop {
            return;
        }
    }
}

fn be_honest(address: IpAddr, events: &Sender<Event>, stop: &Receiver<()>) {
    loop {
        let outcome = send(address, "friend@honest.example", POSTMASTER);
        drop(events.send(Event::Honest { outcome }));
        if pause(stop, HONEST_PAUSE) == Word::Stop {
            return;
        }
    }
}

fn send(address: IpAddr, from: &str, to: &str) -> Outcome {
    attempt(address, network::smtp_for(address), from, to, TIMEOUTS)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    None,
    Banned,
    Stop,
}

/// Waits, unless there is news.
fn pause(news: &Receiver<()>, time: Duration) -> Word {
    match news.recv_timeout(time) {
        Ok(()) => Word::Banned,
        Err(RecvTimeoutError::Timeout) => Word::None,
        Err(RecvTimeoutError::Disconnected) => Word::Stop,
    }
}
