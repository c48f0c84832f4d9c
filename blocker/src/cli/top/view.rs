//! Draws what is known. Nothing that came from a log or a configuration reaches the terminal but through [`printable`](crate::problem::printable).

mod head;
mod look;
mod tables;

use std::time::Instant;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

pub(super) use self::look::Look;
use super::keys::KEYS;
use super::state::State;

/// The smallest terminal that it is of use on.
const LEAST: (u16, u16) = (60, 15);
/// From this width on, jails and the latest bans stand beside the hosts.
const WIDE: u16 = 140;

/// Draws all of it, and takes note of how many hosts there is room for.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, now: Instant, clock: Timestamp, look: Look) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(frame, area);
        return;
    }
    let alarms = head::alarms(state, now, area);
    let [above, first, below, foot] = Layout::vertical([
        Constraint::Length(rows(alarms.len())),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(alarms).style(look.bad()), above);
    frame.render_widget(head::first_line(state, first.width, look), first);
    let [graphs, tables] =
        Layout::vertical([Constraint::Length(head::graphs_height(below)), Constraint::Fill(1)]).areas(below);
    head::graphs(frame, graphs, state, look);
    draw_tables(frame, tables, state, (now, clock), look);
    draw_foot(frame, foot, state, look);
    if state.chosen.help {
        help(frame, area, look);
    }
}

fn draw_tables(frame: &mut Frame<'_>, area: Rect, state: &mut State, now: (Instant, Timestamp), look: Look) {
    let jails = state.status.as_ref().map_or(0, |(_, status)| status.jails.len());
    let (hosts, jails, latest) = if area.width >= WIDE {
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)])
            .spacing(3)
            .areas(area);
        let [above, below] = Layout::vertical([
            Constraint::Length(rows(jails + 1).min(right.height / 2)),
            Constraint::Fill(1),
        ])
        .spacing(1)
        .areas(right);
        (left, above, below)
    } else {
        // A heading each; what is left is the hosts'.
        let most = match area.height {
            0..12 => 2,
            12..18 => 4,
            height => height / 4,
        };
        let latest = match area.height {
            0..12 => 0,
            height => height / 5 + 1,
        };
        let [above, middle, below] = Layout::vertical([
            Constraint::Length(1 + rows(jails).min(most)),
            Constraint::Fill(1),
            Constraint::Length(latest),
        ])
        .areas(area);
        (middle, above, below)
    };
    state.chosen.rows = usize::from(hosts.height.saturating_sub(1));
    tables::jails(frame, jails, state, look);
    tables::hosts(frame, hosts, state, now, look);
    tables::latest(frame, latest, state, now, look);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let keys = [
        ("q", "quit"),
        ("s", "order"),
        ("↑↓", "scroll"),
        ("p", if state.chosen.paused { "go on" } else { "pause" }),
        ("?", "keys"),
    ];
    let spans = keys
        .iter()
        .flat_map(|(key, does)| [Span::styled(*key, look.strong()), Span::raw(format!(" {does}  "))]);
    frame.render_widget(Line::from_iter(spans), area);
    let right = if state.chosen.paused {
        Line::styled("paused: the agent is asked nothing", look.strong())
    } else {
        Line::raw(format!("every {} s", state.interval.as_secs_f64()))
    };
    frame.render_widget(right.right_aligned(), area);
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let text = format!(
        "{} by {} is too small: `blocker top` needs {} by {}; `blocker status` needs none. q quits.",
        area.width, area.height, LEAST.0, LEAST.1
    );
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
}

fn help(frame: &mut Frame<'_>, area: Rect, look: Look) {
    let lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(keys, does)| Line::from_iter([Span::styled(format!("{keys:<16}"), look.strong()), Span::raw(*does)]))
        .collect();
    let area = area.centered(Constraint::Length(58), Constraint::Length(rows(lines.len() + 2)));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys ")), area);
}

/// A number of rows, as terminals have them.
fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
