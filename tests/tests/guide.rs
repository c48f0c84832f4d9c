//! The guide, README.md and CONTRIBUTING.md: what they have typed is run, what they have configured is checked, and their links lead
//! somewhere.
//!
//! A block's language says what becomes of it: `sh` is run, `console` is run and has to say what is shown, `toml` and `ini` are
//! written where their first comment says and checked, `nginx` is checked by nginx, `json` and `yaml` are read, `text` is looked at by
//! people. [`stand_ins`] has what cannot be run as it stands.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "guide/links.rs"]
mod links;
#[path = "guide/machine.rs"]
mod machine;
#[path = "guide/nginx.rs"]
mod nginx;
#[path = "guide/output.rs"]
mod output;
#[path = "guide/page.rs"]
mod page;
#[path = "guide/promtool.rs"]
mod promtool;
#[path = "guide/run.rs"]
mod run;
#[path = "guide/spans.rs"]
mod spans;
#[path = "guide/stand_ins.rs"]
mod stand_ins;
#[path = "guide/xtask.rs"]
mod xtask;

use std::path::{Path, PathBuf};

use page::Page;

/// Pages beside those of the guide.
const BESIDE: [&str; 2] = ["README.md", "CONTRIBUTING.md"];

/// The workspace's folder.
fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests lie in the workspace").to_owned()
}

fn pages() -> Vec<Page> {
    let guide = links::pages_below(Path::new("docs"));
    let pages: Vec<PathBuf> = BESIDE.iter().map(PathBuf::from).chain(guide).collect();
    assert!(pages.len() > 10, "{pages:?}");
    pages.iter().map(|file| Page::read(file)).collect()
}

/// The problems of a page that holds this text.
fn problems_of(text: &str) -> Vec<String> {
    run::problems(&Page::parse(Path::new("page.md"), text))
}

#[test]
fn whatever_the_guide_has_typed_or_configured_works() {
    let only = std::env::var("GUIDE_PAGE").unwrap_or_default();
    let pages = pages()
        .into_iter()
        .filter(|page| page.file.to_string_lossy().contains(&only));
    let problems: Vec<String> = pages.flat_map(|page| run::problems(&page)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[test]
fn commands_within_sentences_are_there_and_know_their_options() {
    let mut helps = spans::Helps::default();
    let problems: Vec<String> = pages().iter().flat_map(|page| helps.problems(page)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let wrong = "Type `blocker bans --loudest`, `blocker explain 192.0.2.7` or `cargo xtask run --quickly`.";
    assert_eq!(helps.problems(&Page::parse(Path::new("page.md"), wrong)).len(), 3);
}

#[test]
fn links_lead_somewhere_and_every_page_is_in_the_book() {
    let problems: Vec<String> = pages().iter().flat_map(links::problems).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(links::left_out(), Vec::<PathBuf>::new(), "not in docs/SUMMARY.md");
    let wrong = "[a](docs/nothing.md) [b](README.md#nothing) [c](README.md#licence)";
    assert_eq!(links::problems(&Page::parse(Path::new("page.md"), wrong)).len(), 2);
}

#[test]
fn every_alert_is_in_the_chapter_on_running_it() {
    let read = |file: &str| std::fs::read_to_string(workspace().join(file)).unwrap();
    let rules = read("packaging/prometheus/blocker.rules.yml");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let chapter = read("docs/operating.md");
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `Blocker"));
    let rows = rows.filter_map(|row| Some(format!("Blocker{}", row.split_once('`')?.0)));
    let alerts: Vec<String> = alerts.map(str::to_owned).collect();
    assert!(alerts.len() > 5, "{alerts:?}");
    assert_eq!(
        rows.collect::<Vec<_>>(),
        alerts,
        "left what docs/operating.md tells, right what there is"
    );
}

#[test]
fn a_block_that_nothing_is_known_of_is_a_problem() {
    for text in [
        "```fish\nblocker status\n```",
        "```\nblocker status\n```",
        "text\n\n    blocker status\n",
        "```text\nblocker status\n```",
        "```json\n{no}\n```",
        "```yaml\nscrape: [\n```",
        "```nginx\nlocation / { proxy_past http://127.0.0.1:9919/; }\n```",
    ] {
        assert_eq!(problems_of(text).len(), 1, "{text}");
    }
}

#[test]
fn what_fails_and_what_says_something_else_is_a_problem() {
    for text in [
        "```sh\nblocker status --loudly\n```",
        "```sh\nfalse\ntrue\n```",
        "```sh\ncargo xtask run --quickly\n```",
        "```console\n$ blocker status\nall is lost\n```",
        "```toml\n[firewall]\nkindd = \"xdp\"\n```",
        "```ini\n[spam]\nmaxretry = some\n```",
    ] {
        assert_eq!(problems_of(text).len(), 1, "{text}");
    }
    let right = "```ini\n[spam]\nenabled = true\nfilter = postfix\nport = smtp\nlogpath = /var/log/mail.log\n```\n\n```console\n$ blocker status spam\n…spam…\n```";
    assert_eq!(problems_of(right), Vec::<String>::new());
}
