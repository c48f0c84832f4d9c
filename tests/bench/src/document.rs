//! `docs/benchmarks.md`: what is measured comes from here, everything else is written by hand.
//!
//! Each bench has its own part, between two comments, and a run of one bench replaces that part alone; so does the description of
//! the machine. Text outside of the parts stays: behind each there is room to say what stands in the way of a target.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::bench::workspace;
use crate::machine::Machine;
use crate::report::{Chart, Outcome};
use crate::table;

/// What a document begins with that is not there yet.
const BEGINNING: &str = "# Benchmarks\n";

/// Where charts lie, from the document.
const IMAGES: &str = "images";

/// Replaces the part of this bench, with its charts, and that of the machine.
pub(crate) fn write(outcome: &Outcome, machine: &Machine) -> Result<()> {
    let path = path();
    let before = fs::read_to_string(&path).unwrap_or_else(|_| BEGINNING.to_owned());
    let with_machine = replaced(&before, "machine", &machine_part(machine));
    let text = replaced(&with_machine, outcome.name, &bench_part(outcome, machine));
    let images = path.with_file_name(IMAGES);
    for chart in &outcome.report.charts {
        fs::create_dir_all(&images).with_context(|| images.display().to_string())?;
        let file = images.join(format!("{}.svg", chart.name));
        fs::write(&file, &chart.svg).with_context(|| file.display().to_string())?;
    }
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn path() -> PathBuf {
    workspace().join("docs/benchmarks.md")
}

fn machine_part(machine: &Machine) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, value) in [
        ("processor", &machine.cpu),
        ("cores", &machine.cores.to_string()),
        ("memory", &machine.memory),
        ("Linux", &machine.kernel),
        ("mitigations", &machine.mitigations.join("; ")),
        ("compiler", &machine.rustc),
        ("load at the beginning", &machine.load),
    ] {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

fn bench_part(outcome: &Outcome, machine: &Machine) -> String {
    let mut text = format!("## {}\n\nCompared: {}.\n\n", outcome.name, outcome.about);
    text += &table::markdown(&outcome.report);
    for Chart { name, about, .. } in &outcome.report.charts {
        let _ = writeln!(text, "\n![{about}]({IMAGES}/{name}.svg)");
    }
    let with = if outcome.peers.is_empty() {
        String::new()
    } else {
        format!(" with {}", outcome.peers.join(", "))
    };
    let _ = writeln!(
        text,
        "\n{} at commit {}{with}, in {:.0} s; {}.",
        machine.date,
        machine.commit,
        outcome.took.as_secs_f64(),
        machine.short()
    );
    text
}

/// The text with another part of this name; where it has none, the part is put behind it.
fn replaced(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (
        format!("<!-- from here on by `cargo xtask bench`: {name} -->\n"),
        format!("<!-- from here on by hand: {name} -->\n"),
    );
    let (before, after) = match (text.find(&begin), text.find(&end)) {
        (Some(from), Some(to)) if from < to => (&text[..from], &text[to + end.len()..]),
        _ => (text, ""),
    };
    let before = before.trim_end_matches('\n');
    format!("{before}\n\n{begin}\n{part}\n{end}{after}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::Report;

    #[test]
    fn a_chart_is_shown_below_the_tables() {
        let mut report = Report::default();
        report.charts.push(Chart {
            name: "relay",
            about: "connections over time".to_owned(),
            svg: String::new(),
        });
        let outcome = Outcome {
            name: "relay",
            about: "a relay",
            report,
            peers: Vec::new(),
            took: Duration::ZERO,
        };
        let part = bench_part(&outcome, &Machine::default());
        assert!(
            part.contains("\n![connections over time](images/relay.svg)\n"),
            "{part}"
        );
    }

    #[test]
    fn a_part_is_replaced_and_what_is_written_by_hand_stays() {
        let first = replaced(BEGINNING, "packet", "old\n");
        let second = replaced(&first, "stack", "stack\n");
        let by_hand = second.replace(
            "hand: packet -->\n",
            "hand: packet -->\n\nThe clock stands in the way.\n",
        );
        let third = replaced(&by_hand, "packet", "new\n");
        assert_eq!(
            third,
            "# Benchmarks

<!-- from here on by `cargo xtask bench`: packet -->

new

<!-- from here on by hand: packet -->

The clock stands in the way.

<!-- from here on by `cargo xtask bench`: stack -->

stack

<!-- from here on by hand: stack -->
"
        );
        assert_eq!(replaced(&third, "packet", "new\n"), third);
    }
}
