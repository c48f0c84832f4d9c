//! docs/settings.md has every setting of `blocker.toml` and no other, with its default. The jails' keys are compared where they are
//! known, in `jail/keys/page.rs`.

use super::blocker_toml::BlockerToml;

const PAGE: &str = include_str!("../../../../docs/settings.md");

/// A row of a table on the page: a setting, its default as it would be written, and what it does.
pub(in crate::config) struct Row {
    /// Its name.
    pub(in crate::config) name: &'static str,
    /// Its default; `None` where the page says it in words or there is none.
    pub(in crate::config) default: Option<&'static str>,
}

/// The rows below a heading, up to the next one.
pub(in crate::config) fn rows(heading: &str) -> Vec<Row> {
    let (_, section) = PAGE
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [name, default, meaning] = cells.as_slice() else {
            panic!("not three columns: {row}");
        };
        assert!(meaning.len() > 10, "{row}");
        Row {
            name: name.trim_end().trim_end_matches('`'),
            default: default.trim().strip_prefix('`').and_then(|rest| rest.strip_suffix('`')),
        }
    });
    rows.collect()
}

/// What the code knows in the place of a key that it does not know, by its own words.
fn known(text: &str) -> Vec<String> {
    let error = toml::from_str::<BlockerToml>(text).unwrap_err();
    let (_, listed) = error.message().split_once("expected ").expect("it says what it knows");
    let names = listed.split('`').skip(1).step_by(2).map(str::to_owned);
    names.collect()
}

#[test]
fn the_page_has_every_setting_of_blocker_toml_and_no_other_with_the_codes_defaults() {
    let tables = known("nonsense = 1");
    assert!(tables.len() >= 5, "{tables:?}");
    for table in tables {
        let on_the_page = rows(&format!("`[{table}]`"));
        let mut named: Vec<&str> = on_the_page.iter().map(|row| row.name).collect();
        let mut expected = known(&format!("[{table}]\nnonsense = 1"));
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(
            named, expected,
            "left what docs/settings.md has of [{table}], right what the code knows"
        );
        for row in on_the_page {
            let default = row
                .default
                .unwrap_or_else(|| panic!("[{table}] {}: no default", row.name));
            let text = format!("[{table}]\n{} = {default}\n", row.name);
            let read: BlockerToml = toml::from_str(&text).unwrap_or_else(|error| panic!("{text}{error}"));
            let usual = format!("{:?}", BlockerToml::default());
            assert_eq!(format!("{read:?}"), usual, "left by the page's default of {}", row.name);
        }
    }
    let headings = PAGE.lines().filter(|line| line.starts_with("## `["));
    assert_eq!(
        headings.count(),
        known("nonsense = 1").len(),
        "a table that the code does not know"
    );
}
