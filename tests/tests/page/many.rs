//! With 100,000 bans the page is as quick as with a few, and the agent has time to ban.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blocker_tests::four_jails::{fill, four_jails};
use serde_json::json;

use super::browser::{Browser, PAGE};
use super::*;

const BANS: u32 = 100_000;
/// In milliseconds, some three times what was seen of a build without much optimisation, while the machine compiled other things.
const FIRST_TABLE: f64 = 5_000.0;
/// Each search waits for ten times as long as the answer before it took: one that was held up makes the next one late.
const SLOWEST_SEARCH: f64 = 15_000.0;
const USUAL_SEARCH: f64 = 5_000.0;
/// In which nothing that somebody types is seen.
const LONGEST_TASK: f64 = 500.0;
/// From a line to its ban.
const BANNED: Duration = Duration::from_secs(5);

/// Notes, before the page's own scripts run, when the table is there and how long the page is busy without a break.
const WATCH: &str = "window.tasks = [];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration))).observe({type: 'longtask', buffered: true});
    new MutationObserver(() => { if (document.querySelector('#bans tbody tr')) window.table ??= performance.now(); })
        .observe(document, {childList: true, subtree: true});";

/// Types a search and gives the milliseconds until its result is there, typing pause and all.
fn search(browser: &Browser<'_>, text: &str, count: &str) -> f64 {
    let script = "const [text, count, done] = arguments;
        const begun = performance.now();
        const look = () => {
            const there = document.getElementById('bans-count').textContent;
            if (there.includes(count)) done(performance.now() - begun); else requestAnimationFrame(look);
        };
        const input = document.getElementById('search-text');
        input.value = text;
        input.dispatchEvent(new Event('input'));
        look();";
    let took = browser
        .session
        .post("execute/async", &json!({"script": script, "args": [text, count]}));
    took.as_f64().unwrap()
}

#[test]
fn a_hundred_thousand_bans_are_searched_in_a_moment_and_keep_nobody_from_being_banned() {
    let relay = four_jails(2);
    fill(&relay, BANS);
    let mut agent = relay.start("nftables");
    let browser = Browser::without_page(&relay);
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": WATCH}));
    browser.open(PAGE);
    browser.shows("#bans-count", "1–50 of 100,000 bans");
    browser.shows("#now-bans", "100,000");
    let table = browser.script("return window.table").as_f64().unwrap();
    browser.session.post("timeouts", &json!({"script": 60_000}));
    let searches = [
        ("10.1.134.", "1–50 of 160 bans"),
        ("10.0.77.9", "1 ban in force"),
        ("10.1.0.0/16", "of 34,464 bans"),
        ("abuse", "of 25,000 bans"),
        ("", "of 100,000 bans"),
    ];
    let took: Vec<f64> = searches
        .iter()
        .map(|(text, count)| search(&browser, text, count))
        .collect();
    browser.click("button[data-sort=packets]");
    browser.shows("#bans-count", "1–50 of 100,000 bans");
    browser.screenshot("many");
    assert_eq!(
        browser.script("return document.querySelectorAll('#bans tbody tr').length"),
        50
    );
    let tasks = browser.script("return window.tasks");
    let longest = tasks
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .fold(0.0, f64::max);
    let mut sorted = took.clone();
    sorted.sort_by(f64::total_cmp);
    let (usual, slowest) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    println!(
        "{BANS} bans: first table {table:.0} ms after the page was asked for, searches {took:.0?} ms, longest task {longest:.0} ms"
    );
    assert!(table < FIRST_TABLE && longest < LONGEST_TASK);
    assert!(usual < USUAL_SEARCH && slowest < SLOWEST_SEARCH);

    // However many ask for as much as they may, and at once: who is to be banned is.
    let is_over = AtomicBool::new(false);
    let banned = std::thread::scope(|scope| {
        for sort in ["packets", "failures", "since", "until"].repeat(3) {
            let (relay, is_over) = (&relay, &is_over);
            scope.spawn(move || {
                let request =
                    format!("GET /api/bans?sort={sort}&skip=10000&limit=100 HTTP/1.0\r\nHost: localhost\r\n\r\n");
                while !is_over.load(Ordering::Relaxed) {
                    exchange(relay, &request);
                }
            });
        }
        let mut slowest = Duration::ZERO;
        for host in [20_u8, 21, 22, 23, 24] {
            relay.reject(IpAddr::from([192, 0, 2, host]), 2);
            let begun = Instant::now();
            agent.says(&["INFO banned", &format!("address=192.0.2.{host} ")]);
            slowest = slowest.max(begun.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
        slowest
    });
    println!("while twelve ask at once without a pause, a host is banned at the latest after {banned:.2?}");
    assert!(banned < BANNED, "{banned:?}");
    browser.is_clean();
}
