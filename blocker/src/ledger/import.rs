//! Taking over another program's bans into the ledger, while no agent runs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::fail2ban::Foreign;
use super::store::{Entered, Store};
use super::{Allowlist, Entry, Ledger};
use crate::ban::{Ban, Expiry, JailId, Networks, Origin};
use crate::config::Settings;
use crate::jail::BanTime;

/// Bans that are written at a time.
const TOGETHER: u64 = 10_000;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Bans that are in the ledger now and were not before.
    pub imported: u64,
    /// Bans that the ledger held already.
    pub known: u64,
    /// Bans that are over.
    pub over: u64,
    /// Bans that the allowlist does not let happen.
    pub allowed: u64,
    /// Bans of something that is no address.
    pub no_address: u64,
    /// Bans of jails that are not configured, by the jail.
    pub not_configured: BTreeMap<String, u64>,
}

/// A take-over under way.
pub struct Import {
    ledger: Ledger,
    store: Store,
    jails: BTreeMap<String, (JailId, BanTime, Networks)>,
    now: Timestamp,
    result: Imported,
}

impl Import {
    /// Opens the ledger of these settings.
    ///
    /// # Errors
    ///
    /// When an agent uses it, or it cannot be written.
    pub fn begin(settings: Settings, own: Vec<IpAddr>, now: Timestamp) -> Result<Self> {
        let names: Vec<String> = settings.jails.iter().map(|jail| jail.name.clone()).collect();
        let (store, bans) = Store::open(&settings.state, names, settings.history, now)
            .context("end the agent with `blocker stop` before an import; its bans stay in force meanwhile")?;
        let mut ledger = Ledger::new(Allowlist::new(settings.allow, own));
        for ban in bans {
            ledger.enter(ban);
        }
        let jails = (0..).map(JailId).zip(&settings.jails);
        let import = Self {
            ledger,
            store,
            jails: jails
                .map(|(id, jail)| {
                    let ignored = jail.rules.ignore.iter().copied().collect();
                    (jail.name.clone(), (id, jail.rules.ban_time, ignored))
                })
                .collect(),
            now,
            result: Imported::default(),
        };
        import.check()?;
        Ok(import)
    }

    /// Takes over one ban.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub fn take(&mut self, foreign: Foreign) -> Result<()> {
        let Some(subject) = foreign.subject else {
            self.result.no_address += 1;
            return Ok(());
        };
        let until = |ban_time| match ban_time {
            BanTime::Forever => Expiry::Never,
            BanTime::For(length) => end(foreign.since, length),
        };
        if foreign
            .length
            .is_some_and(|length| until(length) <= Expiry::At(self.now))
        {
            self.result.over += 1;
            return Ok(());
        }
        let Some((jail, ban_time, ignored)) = self.jails.get(&foreign.jail) else {
            *self.result.not_configured.entry(foreign.jail).or_default() += 1;
            return Ok(());
        };
        let until = until(foreign.length.unwrap_or(*ban_time));
        if until <= Expiry::At(self.now) {
            self.result.over += 1;
            return Ok(());
        }
        if ignored.cover(subject) {
            self.result.allowed += 1;
            return Ok(());
        }
        let ban = Ban {
            subject,
            jail: *jail,
            origin: Origin::Jail,
            since: foreign.since,
            until,
            failures: 0,
        };
        match self.ledger.enter(ban.clone()) {
            Entry::New(_) => {
                self.result.imported += 1;
                self.store.enter(&ban, Entered::New { bans: foreign.bans });
                if self.result.imported.is_multiple_of(TOGETHER) {
                    self.commit()?;
                }
            }
            Entry::Extended(_) => {
                self.result.known += 1;
                let extended = self.ledger.get(ban.subject, ban.jail);
                self.store.enter(extended.unwrap_or(&ban), Entered::Extended);
            }
            Entry::Known => self.result.known += 1,
            Entry::Allowed => self.result.allowed += 1,
            Entry::Full => bail!("the ledger holds as many bans as it may; {}", self.result),
        }
        Ok(())
    }

    /// Writes what is left, and says what came of it all.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub fn finish(mut self) -> Result<Imported> {
        self.commit()?;
        Ok(self.result)
    }

    fn commit(&mut self) -> Result<()> {
        self.store.commit(&self.ledger, self.now);
        self.check()
    }

    fn check(&self) -> Result<()> {
        if self.store.is_durable() {
            return Ok(());
        }
        bail!(
            "{}: the ledger cannot be written; why is told above",
            self.store.path().display()
        )
    }
}

fn end(since: Timestamp, length: SignedDuration) -> Expiry {
    Expiry::At(since.saturating_add(length).unwrap_or(Timestamp::MAX))
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bans are taken over; they are in force from the agent's next start",
            self.imported
        )?;
        for (number, what) in [
            (self.known, "were known"),
            (self.over, "are over"),
            (self.allowed, "are on the allowlist"),
            (self.no_address, "are of no address"),
        ] {
            if number > 0 {
                write!(f, "; {number} {what}")?;
            }
        }
        for (jail, number) in &self.not_configured {
            write!(f, "; {number} are left out: the jail `{jail}` is not configured")?;
        }
        Ok(())
    }
}
