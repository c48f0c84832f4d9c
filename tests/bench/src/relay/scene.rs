//! A relay as an operator runs it: a real Postfix that asks a list of spammers by DNS, and a table for its mailboxes.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use blocker_lab::dns::{self, NameServer};
use blocker_lab::postfix::{Postfix, Settings};
use blocker_lab::smtp::Outcome;
use blocker_lab::{Lab, Namespace};

use super::hosts::{SPAMMERS, is_listed, one_honest, spammer};
use super::mailboxes::{self, Mailboxes};
use super::processor::{Group, of_threads};

/// The list's zone.
const ZONE: &str = "dnsbl.example";
/// Who answers for it: the relay has its own name server, as many have.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Before anything is measured: whatever Postfix starts for the first mail is there then.
const FIRST_MAILS: usize = 3;

/// The relay and its neighbours.
pub(super) struct Scene {
    // Dropped in this order: Postfix before what it asks, and its group when nothing lives any more.
    postfix: Postfix,
    name_server: NameServer,
    mailboxes: Mailboxes,
    pub(super) spammers: Namespace,
    pub(super) lab: Arc<Lab>,
    group: Group,
}

/// What the relay has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spent {
    /// Seconds of the processor's time that Postfix has taken, all of its processes.
    pub(super) postfix: f64,
    /// The same of those whom it asks.
    pub(super) asked: f64,
    /// How often it has asked the list of spammers.
    pub(super) queries: usize,
    /// How often it has asked for a mailbox.
    pub(super) mailboxes: usize,
}

impl Spent {
    /// Postfix and whom it asks.
    pub(super) const fn seconds(&self) -> f64 {
        self.postfix + self.asked
    }

    /// What has been spent since this.
    pub(super) const fn since(&self, before: &Self) -> Self {
        Self {
            postfix: self.postfix - before.postfix,
            asked: self.asked - before.asked,
            queries: self.queries - before.queries,
            mailboxes: self.mailboxes - before.mailboxes,
        }
    }
}

impl Scene {
    /// Sets it, and sends a few honest mails.
    pub(super) fn new() -> Result<Self> {
        let group = Group::new("postfix")?;
        let lab = Arc::new(Lab::new()?);
        let addresses: Vec<String> = (0..SPAMMERS).map(|number| format!("{}/24", spammer(number))).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let spammers = lab.host("spammers", &addresses)?;
        let (name_server, mailboxes) = lab.relay().enter(|| -> Result<_> {
            let socket = UdpSocket::bind((NAME_SERVER, 53)).context("port 53 of the relay")?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            Ok((NameServer::start(socket)?, Mailboxes::start(listener)?))
        })??;
        for number in (0..SPAMMERS).filter(|number| is_listed(*number)) {
            let [a, b, c, d] = spammer(number).octets();
            let name = format!("{d}.{c}.{b}.{a}.{ZONE}");
            name_server.set(&name, 60, "A", &["127.0.0.2"])?;
            name_server.set(&name, 60, "TXT", &["this host sends spam"])?;
        }
        let settings = Settings {
            main_cf: format!(
                "smtpd_recipient_restrictions = reject_unauth_destination, reject_rbl_client {ZONE}, reject_unlisted_recipient\n\
                 local_recipient_maps = proxy:{}\n",
                mailboxes.table()
            ),
            name_server: Some(NAME_SERVER.into()),
        };
        let postfix = Postfix::start_with(&lab, &settings)?;
        group.take(postfix.id())?;
        let outcomes = lab
            .honest()
            .enter(|| (0..FIRST_MAILS).map(|_| one_honest()).collect::<Vec<_>>())?;
        ensure!(
            outcomes.iter().all(|outcome| *outcome == Outcome::Accepted),
            "the relay does not take honest mail: {outcomes:?}; its log says:\n{}",
            blocker_lab::command::last_lines(&fs::read_to_string(postfix.mail_log()).unwrap_or_default(), 12)
        );
        Ok(Self {
            postfix,
            name_server,
            mailboxes,
            spammers,
            lab,
            group,
        })
    }

    /// Postfix's log.
    pub(super) fn mail_log(&self) -> &Path {
        self.postfix.mail_log()
    }

    /// What has been spent until now.
    pub(super) fn spent(&self) -> Result<Spent> {
        Ok(Spent {
            postfix: self.group.seconds()?,
            asked: of_threads(dns::THREAD)? + of_threads(mailboxes::THREAD)?,
            queries: self.name_server.queries(),
            mailboxes: self.mailboxes.asked(),
        })
    }
}
