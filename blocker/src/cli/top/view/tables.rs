//! The tables: jails, banned hosts, the latest bans.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row, Table};

use super::super::poll::Order;
use super::super::state::{Bans, State};
use super::Look;
use super::head::rate;
use crate::api::model::{Ban, Jail};
use crate::cli::figures::{grouped, since};
use crate::problem::printable;

/// The widest address, with its prefix.
const ADDRESS: usize = 43;

/// The jails; where there is no room for all, those that drop the most.
pub(super) fn jails(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let Some((_, status)) = &state.status else { return };
    let room = usize::from(area.height.saturating_sub(1));
    let dropped = |jail: &Jail| Some(state.rates.as_ref()?.jails.get(&jail.name)?.dropped);
    let mut jails: Vec<&Jail> = status.jails.iter().collect();
    let mut title = "jail".to_owned();
    if jails.len() > room {
        title = format!("jail (busiest {room} of {})", jails.len());
        jails.sort_by(|one, other| {
            let rates = dropped(other).unwrap_or(0.0).total_cmp(&dropped(one).unwrap_or(0.0));
            rates.then(Reverse(one.dropped_packets).cmp(&Reverse(other.dropped_packets)))
        });
        jails.truncate(room);
    }
    let rows = jails.iter().map(|jail| {
        Row::new([
            Cell::from(printable(&jail.name)),
            right(grouped(jail.bans)),
            right(grouped(jail.bans_made)),
            right(grouped(jail.failures)),
            right(grouped(jail.dropped_packets)),
            right(rate(dropped(jail))),
        ])
    });
    let heading = Row::new([
        Cell::from(title),
        right("bans"),
        right("made"),
        right("failures"),
        right("dropped"),
        right("a second"),
    ]);
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(14),
        Constraint::Length(10),
    ];
    draw(frame, area, Table::new(rows, widths), heading, look);
}

/// Banned hosts, in the order that was chosen.
pub(super) fn hosts(frame: &mut Frame<'_>, area: Rect, state: &State, now: (Instant, Timestamp), look: Look) {
    let all = &state.hosts.bans;
    let room = usize::from(area.height.saturating_sub(1));
    let from = state.chosen.scrolled.min(all.len().saturating_sub(room));
    let shown = &all[from..all.len().min(from + room)];
    let soon = if state.chosen.order == state.order {
        String::new()
    } else {
        format!(" (soon: {})", name(state.chosen.order))
    };
    let place = if all.len() > room {
        format!(" {}–{} of {}", from + 1, from + shown.len(), all.len())
    } else {
        String::new()
    };
    let what = name(state.order);
    let title = format!("{what} hosts{place}{}{soon}", freshness(&state.hosts, state, now.0));
    let rows = shown.iter().map(|ban| {
        Row::new([
            Cell::from(printable(&ban.address)),
            Cell::from(printable(&ban.jail)),
            right(ban.packets.map_or_else(|| "–".to_owned(), grouped)),
            right(ban.last_knock.map_or_else(|| "–".to_owned(), |last| ago(last, now.1))),
            right(ends(ban, now.1)),
        ])
        .style(row_style(ban, look))
    });
    let heading = Row::new([
        Cell::from(title.clone()),
        Cell::from("jail"),
        right("packets"),
        right("last knock"),
        right("ends in"),
    ]);
    let widths = [
        first_column(&title, all),
        Constraint::Fill(1),
        Constraint::Length(13),
        Constraint::Length(11),
        Constraint::Length(8),
    ];
    draw(frame, area, Table::new(rows, widths), heading, look);
}

const fn name(order: Order) -> &'static str {
    match order {
        Order::Loudest => "loudest",
        Order::Latest => "latest",
        Order::Ending => "soonest-to-end",
    }
}

/// The latest bans.
pub(super) fn latest(frame: &mut Frame<'_>, area: Rect, state: &State, now: (Instant, Timestamp), look: Look) {
    let title = format!("latest bans{}", freshness(&state.latest, state, now.0));
    let room = usize::from(area.height.saturating_sub(1));
    let rows = state.latest.bans.iter().take(room).map(|ban| {
        Row::new([
            Cell::from(printable(&ban.address)),
            Cell::from(printable(&ban.jail)),
            right(grouped(ban.failures.into())),
            right(ago(ban.since, now.1)),
            right(ends(ban, now.1)),
        ])
        .style(row_style(ban, look))
    });
    let heading = Row::new([
        Cell::from(title.clone()),
        Cell::from("jail"),
        right("failures"),
        right("banned"),
        right("ends in"),
    ]);
    let widths = [
        first_column(&title, &state.latest.bans),
        Constraint::Fill(1),
        Constraint::Length(13),
        Constraint::Length(11),
        Constraint::Length(8),
    ];
    draw(frame, area, Table::new(rows, widths), heading, look);
}

fn draw(frame: &mut Frame<'_>, area: Rect, table: Table<'_>, heading: Row<'_>, look: Look) {
    let table = table.header(heading.style(look.heading())).column_spacing(1);
    frame.render_widget(table, area);
}

fn right(text: impl Into<String>) -> Cell<'static> {
    Cell::from(Text::from(Line::raw(text.into()).right_aligned()))
}

/// As wide as its heading and what stands in it.
fn first_column(title: &str, bans: &[Ban]) -> Constraint {
    let address = bans.iter().map(|ban| ban.address.len()).max().unwrap_or(0);
    let width = Span::raw(title).width().max(address.min(ADDRESS));
    Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX))
}

/// What is not as everywhere else: bans that are old by now, since asking for them takes the agent long, or cannot be asked for.
fn freshness(bans: &Bans, state: &State, now: Instant) -> String {
    if let Some(error) = &bans.error {
        return format!(": {}", printable(error));
    }
    match bans.at.map(|at| now.saturating_duration_since(at)) {
        Some(age) if age > state.interval * 2 + Duration::from_secs(1) => format!(", {} s ago", age.as_secs()),
        _ => String::new(),
    }
}

fn ago(time: Timestamp, now: Timestamp) -> String {
    format!("{} ago", since(time, now))
}

fn ends(ban: &Ban, now: Timestamp) -> String {
    ban.until.map_or_else(|| "never".to_owned(), |until| since(now, until))
}

/// What the kernel does not enforce is wrong.
fn row_style(ban: &Ban, look: Look) -> Style {
    if ban.enforced { Style::new() } else { look.bad() }
}
