//! A real Postfix under two hundred hosts that spam, with some honest mail beside it: with nothing in front, behind fail2ban and
//! behind blocker, both with fail2ban's own filter and the same jail.
//!
//! The spammers take no hint and go on when they are banned; they press harder than Postfix has processes for, and less hard. Half of them are on a list that Postfix asks by
//! DNS, the others write to mailboxes that there are not, for which it asks a table over a socket. What is shown comes from Postfix's
//! log, from the kernel's book-keeping and from the hosts themselves; only whom it has banned is what fail2ban and blocker say.

mod chart;
mod connections;
mod front;
mod hosts;
mod mailboxes;
pub(crate) mod processor;
mod round;
mod scene;

use anyhow::{Context as _, Result};

use crate::bench::{Bench, Ground};
use crate::report::{Chart, Report, Table, Unit};
use crate::statistics::{Figure, Samples, within};
use front::Kind;
use hosts::{LOADS, Load, SPAMMERS};
use round::Round;

/// Seconds that each is watched for, and in a quick run.
const SECONDS: u32 = 25;
const QUICK_SECONDS: u32 = 8;

pub(crate) const BENCH: Bench = Bench {
    name: "relay",
    about: "a real Postfix under 200 hosts that spam, for 25 s each, and honest mail beside: nothing in front, fail2ban, blocker",
    run,
};

fn run(ground: &Ground) -> Result<Report> {
    let seconds = if ground.is_quick() { QUICK_SECONDS } else { SECONDS };
    let mut report = Report::default();
    for load in &LOADS {
        let rounds = Kind::ALL.into_iter().map(|kind| {
            eprintln!("bench: relay: {}: {}, {seconds} s", load.name, kind.name());
            round::run(kind, load, ground, seconds).with_context(|| kind.name())
        });
        let rounds: Vec<Round> = rounds.collect::<Result<_>>()?;
        add(&mut report, load, &rounds)?;
    }
    Ok(report)
}

/// Reports what was seen under one load.
fn add(report: &mut Report, load: &Load, rounds: &[Round]) -> Result<()> {
    let name = load.name;
    for (what, unit, of) in FIGURES {
        let rows = rounds
            .iter()
            .filter_map(|round| Some((round.kind.name().to_owned(), Samples::once(of(round)?))));
        let rows: Vec<_> = rows.collect();
        // What there is none of with nothing in front is no measure for the others.
        let nothing = Kind::Nothing.name();
        let is_measure = |(name, samples): &(String, Samples)| name == nothing && samples.median() > 0.0;
        let what = format!("{name}: {what}");
        report.add(if rows.iter().any(is_measure) {
            Table::against(&what, *unit, nothing, rows)
        } else {
            Table::of(&what, *unit, rows)
        });
    }
    if let Some(blocker) = rounds.iter().find(|round| round.kind == Kind::Blocker) {
        let came_past = Some(Figure::Is(blocker.came_past() as f64));
        let what = format!("{name}: connections of banned hosts that came about after blocker had banned them");
        report.at_most(&what, came_past, 0.0);
        let not_banned = Some(Figure::Is(f64::from(SPAMMERS) - blocker.banned.len() as f64));
        let what = format!("{name}: spammers that blocker had not banned at the end");
        report.at_most(&what, not_banned, 0.0);
    }
    let courses: Vec<_> = rounds.iter().map(|round| (round.kind.name(), &round.course)).collect();
    report.charts.push(Chart {
        name: load.chart,
        about: format!(
            "Under {name}, over time, with nothing in front, fail2ban and blocker: connections a second that Postfix saw, and the \
             processor's time that Postfix and its look-ups took; the sums are in the tables above"
        ),
        svg: chart::draw(&courses)?,
    });
    Ok(())
}

/// What is taken from each round; none where it does not apply.
type Of = fn(&Round) -> Option<f64>;

/// Each figure with what it is and in what.
const FIGURES: &[(&str, Unit, Of)] = &[
    ("connections of spammers that Postfix saw", Unit::Count, |round| {
        Some(round.seen as f64)
    }),
    (
        "connections of spammers that were refused before Postfix",
        Unit::Count,
        |round| Some(round.refused() as f64),
    ),
    ("processor's time of Postfix and its look-ups", Unit::Seconds, |round| {
        Some(round.spent.seconds())
    }),
    ("processor's time of Postfix alone", Unit::Seconds, |round| {
        Some(round.spent.postfix)
    }),
    ("processor's time of fail2ban or blocker", Unit::Seconds, |round| {
        (round.kind != Kind::Nothing).then_some(round.front)
    }),
    ("look-ups in the list of spammers", Unit::Count, |round| {
        Some(round.spent.queries as f64)
    }),
    ("look-ups of mailboxes", Unit::Count, |round| {
        Some(round.spent.mailboxes as f64)
    }),
    ("honest mail taken", Unit::Count, |round| {
        Some(round.taken().len() as f64)
    }),
    ("honest mail not taken", Unit::Count, |round| {
        Some((round.honest.len() - round.taken().len()) as f64)
    }),
    (
        "half of the honest mails were taken within",
        Unit::Milliseconds,
        |round| within(&round.taken(), 0.5).map(|seconds| seconds * 1e3),
    ),
    (
        "99 of 100 honest mails were taken within",
        Unit::Milliseconds,
        |round| within(&round.taken(), 0.99).map(|seconds| seconds * 1e3),
    ),
    ("until the last of the spammers was banned", Unit::Seconds, |round| {
        let last = round.banned.values().max()?;
        (round.banned.len() == usize::from(SPAMMERS)).then_some(last.as_secs_f64())
    }),
    (
        "connections that came about although their host was said to be banned",
        Unit::Count,
        |round| (round.kind != Kind::Nothing).then_some(round.came_past() as f64),
    ),
    (
        "connections of banned hosts that Postfix still waited on at the end",
        Unit::Count,
        |round| (round.kind != Kind::Nothing).then_some(round.held as f64),
    ),
];
