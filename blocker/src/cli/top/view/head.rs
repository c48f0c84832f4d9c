//! What stands above the tables: what is wrong, how the firewall is, how much it drops.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline};

use super::super::history::History;
use super::super::state::State;
use super::{Look, WIDE};
use crate::api::health::problems;
use crate::api::model::Status;
use crate::cli::figures::grouped;
use crate::problem::printable;

/// The width of the words beside a graph.
const WORDS: u16 = 28;

/// What somebody should look at, as many lines as there is room for.
pub(super) fn alarms(state: &State, now: Instant, area: Rect) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let ago = |since: Instant| now.saturating_duration_since(since).as_secs();
    if let Some((since, why)) = &state.gone {
        let seconds = ago(*since);
        lines.push(format!(
            "the agent does not answer for {seconds} s; its bans stay in force; last word below"
        ));
        lines.push(printable(why));
    } else if let Some((at, _)) = &state.status
        && !state.chosen.paused
        && now.saturating_duration_since(*at) > state.interval * 3 + Duration::from_secs(2)
    {
        lines.push(format!(
            "the agent has not answered for {} s; below: its last word",
            ago(*at)
        ));
    }
    if let Some((_, status)) = &state.status {
        lines.extend(problems(status));
        if status.dry_run {
            lines.push("this is a dry run: what would be dropped is counted, and nothing is dropped".to_owned());
        }
    }
    let width = usize::from(area.width.saturating_sub(2));
    let mut lines: Vec<Line<'static>> = lines
        .iter()
        .flat_map(|line| wrapped(line, width))
        .map(Line::raw)
        .collect();
    let most = usize::from(area.height / 6);
    if lines.len() > most {
        lines.truncate(most.saturating_sub(1));
        lines.push(Line::raw("! and more: `blocker status` tells all"));
    }
    lines
}

/// An alarm in lines of this width at the most, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec!["!".to_owned()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() < 3 || Span::raw(line.as_str()).width() + Span::raw(word).width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines
}

/// Firewall and mode by interface, bans in force, how many are enforced, the brake.
pub(super) fn first_line(state: &State, width: u16, look: Look) -> Line<'static> {
    let Some((_, status)) = &state.status else {
        return Line::raw("");
    };
    let bans = format!(
        "  {} in force, {:.1} % enforced  ",
        grouped(status.bans),
        status.enforced_ratio * 100.0
    );
    let (brake, style) = if status.brake_engaged {
        ("brake holds", look.bad())
    } else {
        ("brake off", Style::new())
    };
    let left = usize::from(width).saturating_sub(bans.len() + brake.len());
    Line::from_iter([
        Span::styled(firewall(status, left), look.strong()),
        Span::raw(bans),
        Span::styled(brake, style),
    ])
}

/// The firewall on as many interfaces as there is room for.
fn firewall(status: &Status, width: usize) -> String {
    let interfaces: Vec<String> = status
        .interfaces
        .iter()
        .map(|one| format!("{} ({})", printable(&one.interface), printable(&one.mode)))
        .collect();
    let begins = format!("{} on ", printable(&status.firewall));
    let told = |count: usize| {
        let more = match interfaces.len() - count {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{begins}{}{more}", interfaces[..count].join(", "))
    };
    let fits = (1..=interfaces.len())
        .rev()
        .map(told)
        .find(|text| Span::raw(text).width() <= width);
    fits.unwrap_or_else(|| format!("{begins}{} interfaces", interfaces.len()))
}

/// How many rows the graphs take.
pub(super) fn graphs_height(area: Rect) -> u16 {
    let each = match area.height {
        0..20 => 1,
        20..30 => 2,
        30..42 => 3,
        _ => 5,
    };
    if area.width >= WIDE { each + 2 } else { each * 2 }
}

/// What was dropped and who was banned, over the last minutes.
pub(super) fn graphs(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let half = [Constraint::Fill(1), Constraint::Fill(1)];
    let [first, second] = if area.width >= WIDE {
        let [above, _gap] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
        Layout::horizontal(half).spacing(3).areas(above)
    } else {
        Layout::vertical(half).areas(area)
    };
    let all = state.rates.as_ref().map(|rates| rates.all);
    let dropped = format!("dropped {}/s", rate(all.map(|all| all.dropped)));
    graph(frame, first, (dropped, "/s"), &state.drops, look.drops());
    let bans = format!("bans {}/min", rate(all.map(|all| all.bans * 60.0)));
    graph(frame, second, (bans, "/min"), &state.bans, look.bans());
}

fn graph(frame: &mut Frame<'_>, area: Rect, (now, unit): (String, &str), history: &History, style: Style) {
    let [words, bars] = Layout::horizontal([Constraint::Length(WORDS), Constraint::Fill(1)])
        .spacing(1)
        .areas(area);
    let shown: Vec<Option<f64>> = history.latest_first().take(bars.width.into()).collect();
    let peak = shown.iter().flatten().copied().reduce(f64::max);
    let span = history.slot() * bars.width.into();
    let mut lines = vec![Line::styled(now, style)];
    if let Some(peak) = peak {
        lines.push(Line::raw(format!("peak {}{unit} in {}", rate(Some(peak)), long(span))));
    }
    frame.render_widget(Paragraph::new(lines), words);
    // Bars are of whole numbers: a thousand is one.
    let bar = |value: Option<f64>| value.map(|value| (value * 1000.0).round() as u64);
    let graph = Sparkline::default()
        .data(shown.into_iter().map(bar))
        .direction(RenderDirection::RightToLeft)
        .style(style);
    frame.render_widget(graph, bars);
}

fn long(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// A rate for people: small ones with a digit more.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "–".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        // A float becomes the nearest number there is.
        Some(rate) => grouped(rate.round() as u64),
    }
}
