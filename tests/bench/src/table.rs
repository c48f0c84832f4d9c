//! Reports as text: aligned for the terminal, as Markdown for the document.

use std::fmt::Write as _;

use crate::report::{Bound, Report, Table, Target};
use crate::statistics::{Figure, Samples};

/// What is said in the place of a figure that is not to be believed.
const SCATTERS: &str = "scatters";

/// Tables and targets, for a terminal.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    for table in &report.tables {
        let mut lines = vec![heading(table)];
        lines.extend(cells(table));
        text += "\n";
        text += &aligned(&lines);
    }
    if !report.targets.is_empty() {
        text += "\n";
        let lines: Vec<_> = report.targets.iter().map(target).collect();
        text += &aligned(&lines);
    }
    text + "\n"
}

/// Tables and targets, for the document.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for table in &report.tables {
        let heading = heading(table);
        let columns = heading.len();
        let _ = writeln!(text, "| {} |", heading.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(columns - 1));
        for row in cells(table) {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        text += "\n";
    }
    if !report.targets.is_empty() {
        text += "| target | is | is to be | |\n|---|---:|---:|---|\n";
        for line in report.targets.iter().map(target) {
            let line = line.join(" | ");
            let _ = writeln!(text, "| {} |", line.replace("| missed", "| **missed**"));
        }
    }
    text
}

/// A number with three figures that count.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

fn heading(table: &Table) -> Vec<String> {
    let unit = format!(", {}", table.unit.symbol());
    let mut heading = vec![
        format!("{}{unit}", table.what),
        "median".to_owned(),
        "min–max".to_owned(),
    ];
    heading.extend(table.against.as_ref().map(|against| format!("× {against}")));
    heading
}

fn cells(table: &Table) -> Vec<Vec<String>> {
    let row = |(who, samples): &(String, Samples)| {
        let range = if samples.rounds() == 1 {
            String::new()
        } else {
            format!("{}–{}", number(samples.min()), number(samples.max()))
        };
        let mut cells = vec![who.clone(), number(samples.median()), range];
        if table.against.is_some() {
            cells.push(table.ratio(who).map_or_else(String::new, figure));
        }
        cells
    };
    table.rows.iter().map(row).collect()
}

fn target(target: &Target) -> Vec<String> {
    let bound = match target.bound {
        Bound::AtMost(most) => format!("≤ {}", number(most)),
        Bound::AtLeast(least) => format!("≥ {}", number(least)),
    };
    let met = match target.is_met() {
        Some(true) => "met",
        Some(false) => "missed",
        None => "unknown",
    };
    let is = target.figure.map_or_else(|| "not measured".to_owned(), figure);
    vec![target.what.clone(), is, bound, met.to_owned()]
}

fn figure(figure: Figure) -> String {
    figure.value().map_or_else(|| SCATTERS.to_owned(), number)
}

/// Lines whose cells begin below each other; all but the first and the last column are numbers, and end below each other.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        let cells = lines.iter().filter_map(|line: &Vec<String>| line.get(column));
        cells.map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut cells = String::new();
        for (n, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match n {
                0 => write!(cells, "  {cell:width$}"),
                _ => write!(cells, "  {cell:>width$}"),
            };
        }
        text += cells.trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Unit;

    fn report() -> Report {
        let rows = [
            ("xdp-filter", [80.0, 82.0, 81.0]),
            ("blocker", [1200.0, 1210.0, 1205.0]),
        ];
        let rows = rows.map(|(name, values)| (name.to_owned(), Samples::new(values.to_vec()).unwrap()));
        let table = Table::against("a hit", Unit::Nanoseconds, "xdp-filter", rows.into());
        let mut report = Report::default();
        report.at_most("a hit against xdp-filter's", table.ratio("blocker"), 0.95);
        report.at_most("a miss", Some(Figure::Scatters), 0.75);
        report.add(table);
        report
    }

    #[test]
    fn numbers_have_three_figures_that_count() {
        let text: Vec<String> = [0.0, 0.1234, 1.005, 12.34, 123.4, 1_234_567.0, -1234.0]
            .into_iter()
            .map(number)
            .collect();
        assert_eq!(text, ["0.000", "0.123", "1.00", "12.3", "123", "1,234,567", "-1,234"]);
    }

    #[test]
    fn a_terminal_sees_aligned_columns() {
        let expected = "
  a hit, ns   median      min–max  × xdp-filter
  xdp-filter    81.0    80.0–82.0          1.00
  blocker      1,205  1,200–1,210          14.9

  a hit against xdp-filter's      14.9  ≤ 0.950   missed
  a miss                      scatters  ≤ 0.750  unknown

";
        assert_eq!(text(&report()), expected);
    }

    #[test]
    fn the_document_has_the_same_as_markdown() {
        let expected = "\
| a hit, ns | median | min–max | × xdp-filter |
|---|---:|---:|---:|
| xdp-filter | 81.0 | 80.0–82.0 | 1.00 |
| blocker | 1,205 | 1,200–1,210 | 14.9 |

| target | is | is to be | |
|---|---:|---:|---|
| a hit against xdp-filter's | 14.9 | ≤ 0.950 | **missed** |
| a miss | scatters | ≤ 0.750 | unknown |
";
        assert_eq!(markdown(&report()), expected);
    }
}
