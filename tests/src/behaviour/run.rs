//! Holds a firewall against the table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use blocker::ban::{Change, Enforced, Expiry, JailId};
use blocker::firewall::{Firewall, Kind};
use blocker_common::map::Outcome;
use blocker_common::packet::{Family, Unparsed};
use jiff::{SignedDuration, Timestamp};

use super::{Case, Expected, Lasts, Script, Stage};
use crate::eventually;

/// How long a ban lasts that shall be over.
const SHORT: Duration = Duration::from_millis(20);
/// After this it is over by every clock: XDP's ticks are of 67 ms, and the kernel's coarse clock is up to 10 ms behind.
const OVER: Duration = Duration::from_millis(150);

/// A firewall in place, and a way to send frames to it.
pub trait Ground {
    /// The firewall.
    fn firewall(&mut self) -> &mut dyn Firewall;
    /// Sends a frame, and says what became of it.
    fn send(&mut self, frame: &[u8]) -> Seen;
    /// Packets that could not be read, by the reason, where the firewall counts them.
    fn unparsed(&mut self) -> Vec<(Unparsed, u64)>;
}

/// What became of a frame, as far as one can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The program's verdict, and nothing of what the kernel would have done.
    Verdict {
        /// Whether it was to drop it.
        dropped: bool,
    },
    /// Whether it got to where the kernel's stack has taken it.
    Arrived(bool),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verdict { dropped: true } => "was to be dropped",
            Self::Verdict { dropped: false } => "was to pass",
            Self::Arrived(true) => "arrived",
            Self::Arrived(false) => "did not arrive",
        })
    }
}

impl Seen {
    const fn is(self, expected: Expected) -> bool {
        match self {
            Self::Verdict { dropped } => dropped == matches!(expected.counted, Some((_, Outcome::Dropped))),
            Self::Arrived(arrived) => arrived == expected.arrives,
        }
    }
}

/// What was found.
#[derive(Default)]
pub struct Report {
    /// How many cases there were.
    pub cases: usize,
    /// The cases that failed, each by its name and with what it came to instead; and what a firewall would not be told.
    pub failures: Vec<String>,
}

impl Report {
    /// Prints how it went.
    ///
    /// # Panics
    ///
    /// With everything that failed.
    pub fn check(&self, ground: &str) {
        println!("{ground}: {} cases, {} failures", self.cases, self.failures.len());
        assert!(
            self.failures.is_empty(),
            "{ground}: {} failures in {} cases:\n{}",
            self.failures.len(),
            self.cases,
            self.failures.join("\n")
        );
    }
}

/// Runs each script on a ground of its own, made for its jails.
pub fn run<G: Ground>(scripts: &[Script], mut ground: impl FnMut(&Script) -> G) -> Report {
    let mut report = Report::default();
    for script in scripts {
        let mut ground = ground(script);
        for stage in &script.stages {
            let failures = stage_on(&mut ground, stage);
            let place = format!("{}, {}", script.name, stage.name);
            report.cases += stage.cases.len();
            report
                .failures
                .extend(failures.iter().map(|failure| format!("{place}: {failure}")));
        }
    }
    report
}

fn stage_on(ground: &mut impl Ground, stage: &Stage) -> Vec<String> {
    let mut failures = Vec::new();
    for (subject, bans) in &stage.bans {
        failures.extend(enforce(ground.firewall(), subject, bans));
    }
    let told = Instant::now();
    if let Some(allowlist) = &stage.allowlist {
        let networks: Vec<_> = allowlist.iter().map(|network| subject(network).network()).collect();
        if let Err(error) = ground.firewall().allow(&networks) {
            failures.push(format!("the allowlist {allowlist:?} is not taken: {error:#}"));
        }
    }
    if stage
        .bans
        .iter()
        .flat_map(|(_, bans)| bans)
        .any(|(_, lasts)| *lasts == Lasts::Over)
    {
        eventually("the short bans are over", || told.elapsed() > OVER);
    }
    failures.extend(stage.cases.iter().filter_map(|case| case_on(ground, case)));
    failures
}

fn subject(text: &str) -> blocker::ban::Subject {
    text.parse().expect("the table names hosts and networks")
}

fn enforce(firewall: &mut dyn Firewall, text: &str, bans: &[(u16, Lasts)]) -> Option<String> {
    let now = Timestamp::now();
    let until = |lasts| match lasts {
        Lasts::Hour => Expiry::At(now + SignedDuration::from_hours(1)),
        Lasts::Over => Expiry::At(now + SHORT),
        Lasts::Forever => Expiry::Never,
    };
    let enforced = |&(jail, lasts): &(u16, Lasts)| Enforced {
        jail: JailId(jail),
        until: until(lasts),
    };
    let change = Change {
        subject: subject(text),
        bans: bans.iter().map(enforced).collect(),
    };
    let rejected = firewall.apply(&[change], now).into_iter().next()?;
    Some(format!(
        "the bans {bans:?} of {text} are not taken: {:#}",
        rejected.error
    ))
}

/// Packets and bytes of a jail, an IP version and an outcome.
type Counts = BTreeMap<(u16, u32, u32), (u64, u64)>;

fn counts(firewall: &dyn Firewall) -> Counts {
    let counted = firewall.counters().expect("counters can be read");
    let of = counted.iter().map(|counted| {
        let key = (counted.jail.0, counted.family as u32, counted.outcome as u32);
        (key, (counted.packets, counted.bytes))
    });
    of.collect()
}

/// Sends a case's frame. Gives the case's name and what it came to, where that is not what it should.
fn case_on(ground: &mut impl Ground, case: &Case) -> Option<String> {
    let kind = ground.firewall().kind();
    let (expected, bytes) = match kind {
        Kind::Xdp | Kind::Both => (case.xdp, case.frame.bytes().len()),
        Kind::Nftables => (case.nftables, case.frame.ip_len()),
    };
    let unparsed_before = ground.unparsed();
    let before = counts(ground.firewall());
    let seen = ground.send(case.frame.bytes());
    let after = counts(ground.firewall());
    let unparsed = ground.unparsed();

    let mut wrong = Vec::new();
    if !seen.is(expected) {
        wrong.push(format!("it {seen}"));
    }
    let mut wanted = before.clone();
    if let Some((jail, outcome)) = expected.counted {
        let key = (jail, case.frame.family() as u32, outcome as u32);
        let counts = wanted.entry(key).or_default();
        *counts = (counts.0 + 1, counts.1 + bytes as u64);
    }
    if after != wanted {
        let (should, did) = (difference(&before, &wanted), difference(&before, &after));
        wrong.push(format!("counted was {did} instead of {should}"));
    }
    if kind == Kind::Xdp {
        let more = unparsed.iter().zip(&unparsed_before);
        let more: Vec<_> = more
            .filter(|(now, then)| now != then)
            .map(|((reason, _), _)| *reason)
            .collect();
        if more != Vec::from_iter(case.unparsed) {
            wrong.push(format!("it was unparsed as {more:?} instead of {:?}", case.unparsed));
        }
    }
    (!wrong.is_empty()).then(|| format!("{}: should be {expected}; {}", case.name, wrong.join("; ")))
}

/// What was counted between the two.
fn difference(before: &Counts, after: &Counts) -> String {
    let mut all = Vec::new();
    for (key @ (jail, family, outcome), (packets, bytes)) in after {
        let then = before.get(key).copied().unwrap_or_default();
        if then != (*packets, *bytes) {
            let family = Family::ALL[*family as usize].name();
            let outcome = Outcome::ALL[*outcome as usize].name();
            let (packets, bytes) = (packets - then.0, bytes - then.1);
            all.push(format!("{packets} {outcome} of {bytes} bytes, {family}, jail {jail}"));
        }
    }
    if all.is_empty() {
        "nothing".to_owned()
    } else {
        all.join(" and ")
    }
}
