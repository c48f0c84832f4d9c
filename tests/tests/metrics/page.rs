//! docs/metrics.md against what the agent exposes.

use std::collections::BTreeMap;
use std::fs;

use blocker_tests::relay::Relay;

use super::workspace;

/// A metric's type and its labels, in order of their names.
type Described = BTreeMap<String, (String, Vec<String>)>;

/// The rows of the page's table.
fn on_the_page(page: &str) -> Described {
    let rows = page.lines().filter(|line| line.starts_with("| `blocker_"));
    let described = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, unit, meaning, _] = cells.as_slice() else {
            panic!("not five columns: {row}");
        };
        assert!(!unit.is_empty() && !meaning.is_empty(), "{row}");
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let mut labels: Vec<String> = labels.filter(|label| !label.is_empty()).collect();
        labels.sort();
        (name.trim_matches('`').to_owned(), ((*kind).to_owned(), labels))
    });
    described.collect()
}

/// What Prometheus' text format says there is.
fn exposed(text: &str) -> Described {
    let types = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let described = types.map(|(name, kind)| {
        let sample = if kind == "histogram" {
            format!("{name}_count")
        } else {
            name.to_owned()
        };
        let line = text.lines().find_map(|line| {
            let rest = line.strip_prefix(&sample)?;
            rest.starts_with(['{', ' ']).then_some(rest)
        });
        let line = line.unwrap_or_else(|| panic!("no sample of {name}"));
        let labels = line.strip_prefix('{').and_then(|rest| rest.rsplit_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels);
        // No value here has a quotation mark or a comma in it.
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let mut labels: Vec<String> = labels.map(|(label, _)| label.to_owned()).collect();
        labels.sort();
        (name.to_owned(), (kind.to_owned(), labels))
    });
    described.collect()
}

#[test]
fn alerts_ask_for_metrics_of_the_page() {
    let page = fs::read_to_string(workspace("docs/metrics.md")).unwrap();
    let known = on_the_page(&page);
    let rules = fs::read_to_string(workspace("packaging/prometheus/blocker.rules.yml")).unwrap();
    let expressions = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let names = expressions.flat_map(|expression| {
        let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        words.filter(|word| word.starts_with("blocker_"))
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 5);
    for name in names {
        assert!(known.contains_key(name), "{name}");
    }
}

#[test]
fn the_page_lists_exactly_the_metrics_that_the_agent_exposes_with_their_types_and_labels() {
    let relay = Relay::new("3600");
    let _agent = relay.start("xdp");
    let page = fs::read_to_string(workspace("docs/metrics.md")).unwrap();
    assert_eq!(on_the_page(&page), exposed(&relay.metrics()));
}
