//! What a bench has found: tables, and targets that are met or missed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::statistics::{Figure, Samples};

/// What a table's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    /// Of 2^20 bytes.
    Mebibytes,
    Bytes,
    /// So many of what the table's heading says.
    Count,
}

impl Unit {
    /// As it is written behind a figure.
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Mebibytes => "MiB",
            Self::Bytes => "bytes",
            Self::Count => "number",
        }
    }
}

/// One thing measured, of several that are compared.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// What is measured.
    pub(crate) what: String,
    /// In what.
    pub(crate) unit: Unit,
    /// Of which the others are so many times; of some there is none.
    pub(crate) against: Option<String>,
    /// Each with what the rounds have measured.
    pub(crate) rows: Vec<(String, Samples)>,
}

impl Table {
    /// A table of figures that are compared with those of `against`, which is one of the rows.
    pub(crate) fn against(what: &str, unit: Unit, against: &str, rows: Vec<(String, Samples)>) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            against: Some(against.to_owned()),
            rows,
        }
    }

    /// A table of figures that stand each for itself.
    pub(crate) fn of(what: &str, unit: Unit, rows: Vec<(String, Samples)>) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            against: None,
            rows,
        }
    }

    /// What was measured of one of the rows.
    pub(crate) fn samples(&self, row: &str) -> Option<&Samples> {
        self.rows
            .iter()
            .find(|(name, _)| name == row)
            .map(|(_, samples)| samples)
    }

    /// How many times one of the rows is what the table compares with.
    pub(crate) fn ratio(&self, row: &str) -> Option<Figure> {
        self.ratio_between(row, self.against.as_deref()?)
    }

    /// How many times one of the rows is another.
    pub(crate) fn ratio_between(&self, row: &str, other: &str) -> Option<Figure> {
        Some(self.samples(row)?.ratio(self.samples(other)?))
    }
}

/// What has to hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// What is bounded.
    pub(crate) what: String,
    /// What it came to; none where it was not measured.
    pub(crate) figure: Option<Figure>,
    /// The bound.
    pub(crate) bound: Bound,
}

/// A bound, itself within it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    /// Whether the bound holds; none where that is not known.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let value = self.figure?.value()?;
        Some(match self.bound {
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => value >= least,
        })
    }

    fn json(&self) -> Value {
        let (target, bound) = match self.bound {
            Bound::AtMost(most) => (most, "at most"),
            Bound::AtLeast(least) => (least, "at least"),
        };
        json!({
            "what": self.what,
            "value": self.figure.and_then(Figure::value),
            "target": target,
            "bound": bound,
            "met": self.is_met(),
        })
    }
}

/// What a bench has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) tables: Vec<Table>,
    pub(crate) targets: Vec<Target>,
    pub(crate) charts: Vec<Chart>,
}

/// A picture that the document shows below the tables.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// Its file's name, without the end.
    pub(crate) name: &'static str,
    /// What it shows, for those who do not see it.
    pub(crate) about: String,
    /// The file.
    pub(crate) svg: String,
}

impl Report {
    /// Adds a table.
    pub(crate) fn add(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Adds a target: what must not be more.
    pub(crate) fn at_most(&mut self, what: &str, figure: Option<Figure>, most: f64) {
        self.target(what, figure, Bound::AtMost(most));
    }

    /// Adds a target.
    pub(crate) fn target(&mut self, what: &str, figure: Option<Figure>, bound: Bound) {
        self.targets.push(Target {
            what: what.to_owned(),
            figure,
            bound,
        });
    }
}

/// A bench that was run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) report: Report,
    /// The peers it was run with: package and version.
    pub(crate) peers: Vec<String>,
    pub(crate) took: Duration,
}

impl Outcome {
    /// The object that is printed and kept: the rows of all tables in one list, each with its table's heading.
    pub(crate) fn json(&self, machine: &Machine) -> Value {
        json!({
            "name": self.name,
            "targets": self.report.targets.iter().map(Target::json).collect::<Vec<_>>(),
            "rows": self.report.tables.iter().flat_map(|table| rows(self.name, table)).collect::<Vec<_>>(),
            "peers": self.peers,
            "seconds": self.took.as_secs_f64(),
            "machine": machine.json(),
        })
    }

    /// Keeps it in a file by its name.
    pub(crate) fn save(&self, folder: &Path, machine: &Machine) -> Result<()> {
        save(folder, self.name, &self.json(machine))
    }
}

/// Several benches' objects in one, whose name is `all`: each row and target names its bench.
pub(crate) fn all(outcomes: &[Outcome], machine: &Machine) -> Value {
    let targets = outcomes.iter().flat_map(|outcome| {
        outcome.report.targets.iter().map(|target| {
            let mut target = target.json();
            target["bench"] = outcome.name.into();
            target
        })
    });
    let tables = outcomes
        .iter()
        .flat_map(|outcome| outcome.report.tables.iter().flat_map(|table| rows(outcome.name, table)));
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.took.as_secs_f64()).sum();
    let mut peers: Vec<&String> = outcomes.iter().flat_map(|outcome| &outcome.peers).collect();
    peers.sort();
    peers.dedup();
    json!({
        "name": "all",
        "targets": targets.collect::<Vec<_>>(),
        "rows": tables.collect::<Vec<_>>(),
        "peers": peers,
        "seconds": seconds,
        "machine": machine.json(),
    })
}

/// Keeps an object in a file by its name.
pub(crate) fn save(folder: &Path, name: &str, object: &Value) -> Result<()> {
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, format!("{object:#}\n")).with_context(|| path.display().to_string())
}

fn rows(bench: &str, table: &Table) -> Vec<Value> {
    let row = |(who, samples): &(String, Samples)| {
        json!({
            "bench": bench,
            "what": table.what,
            "who": who,
            "unit": table.unit.symbol(),
            "median": samples.median(),
            "min": samples.min(),
            "max": samples.max(),
            "rounds": samples.rounds(),
            "against": table.against,
            "ratio": table.ratio(who).and_then(Figure::value),
        })
    };
    table.rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let rows = [("theirs", [10.0, 11.0, 12.0]), ("ours", [5.0, 5.5, 6.0])];
        let rows = rows.map(|(name, values)| (name.to_owned(), Samples::new(values.to_vec()).unwrap()));
        Table::against("a thing", Unit::Seconds, "theirs", rows.into())
    }

    #[test]
    fn a_target_is_met_at_its_bound_and_unknown_without_a_figure() {
        let met = |figure, bound| {
            let what = String::new();
            Target { what, figure, bound }.is_met()
        };
        let is = |value| Some(Figure::Is(value));
        assert_eq!(met(is(0.5), Bound::AtMost(0.5)), Some(true));
        assert_eq!(met(is(0.6), Bound::AtMost(0.5)), Some(false));
        assert_eq!(met(is(0.6), Bound::AtLeast(0.5)), Some(true));
        assert_eq!(met(Some(Figure::Scatters), Bound::AtMost(0.5)), None);
        assert_eq!(met(None, Bound::AtMost(0.5)), None);
    }

    #[test]
    fn the_object_of_all_names_the_bench_of_each_row_and_target() {
        let mut report = Report::default();
        report.at_most("ours against theirs", table().ratio("ours"), 0.4);
        report.add(table());
        let outcome = Outcome {
            name: "thing",
            about: "",
            report,
            peers: Vec::new(),
            took: Duration::ZERO,
        };
        let machine = Machine::default();
        let all = all(std::slice::from_ref(&outcome), &machine);
        assert_eq!(all["name"], "all");
        assert_eq!(all["targets"][0]["bench"], "thing");
        assert_eq!(all["targets"][0]["met"], false);
        assert_eq!(all["targets"][0]["value"], 0.5);
        assert_eq!(all["rows"][1]["bench"], "thing");
        assert_eq!(all["rows"][1]["ratio"], 0.5);
        assert_eq!(outcome.json(&machine)["name"], "thing");
    }
}
