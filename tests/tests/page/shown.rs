//! What the page shows is what the agent tells: figures, table, reasons.

use std::time::{Duration, Instant};

use blocker_tests::four_jails::{JAILS, fill, four_jails};
use blocker_tests::knocking::knock;
use blocker_tests::{DEADLINE, eventually};
use serde_json::{Value, json};

use super::browser::Browser;
use super::*;

/// The addresses in the table.
fn shown(browser: &Browser<'_>) -> Vec<String> {
    browser.texts("#bans tbody th button")
}

fn addresses(bans: &[Value]) -> Vec<String> {
    bans.iter()
        .map(|ban| ban["address"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the table has these.
fn comes_to(browser: &Browser<'_>, expected: &[String]) {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline && shown(browser) != expected {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert_eq!(shown(browser), expected);
}

#[test]
fn figures_jails_and_health_are_those_that_the_commands_tell() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned"]);
    blocker(&relay, &["ban", "192.0.2.8"]);
    blocker(&relay, &["ban", "2001:db8:7::/48"]);
    let browser = Browser::start(&relay);
    browser.shows("#verdict-heading", "All is well");
    browser.shows("#now-bans", "3");
    assert_eq!(browser.text("#now-enforced"), "100 % enforced");
    browser.click("input[name=span][value='15m'] + span");
    knock(&relay, FIRST, 40);
    browser.shows("#now-total", "40");
    // While the packets lie in the slot of the last five seconds, the page says how many came a second.
    browser.shows("#dropped-summary", "at most");
    let [status] = &objects(&relay, &["status", "--json"])[..] else {
        panic!("one object");
    };
    let jail = browser.texts("#jails tbody tr > *");
    let expected = ["spam", "tcp/25", "3", "1", "2", "3", "2", "40"];
    assert_eq!(jail[..8], expected, "{status}");
    let head = browser.texts("#jails thead th");
    assert_eq!(
        head,
        [
            "Jail",
            "Closes",
            "Bans",
            "by jail",
            "by manual",
            "Made",
            "Failures",
            "Dropped",
            "A second"
        ]
    );
    let health = browser.text("#health");
    for part in [
        "Interface all",
        "nftables",
        "100 % of the bans",
        "Brake",
        "off",
        "on disk",
        "read to its end, 2 lines",
    ] {
        assert!(health.contains(part), "{part}: {health}");
    }
    assert!(health.contains(relay.log().to_str().unwrap()), "{health}");
    assert!(browser.text("#verdict-note").contains("nftables on all"));
    browser.is_clean();
}

#[test]
fn the_story_of_a_ban_is_the_one_that_why_tells() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned"]);
    knock(&relay, FIRST, 5);
    let browser = Browser::start(&relay);
    browser.shows("#bans tbody", "192.0.2.7");
    browser.click("#bans tbody th button");
    browser.shows("#why-heading", "192.0.2.7 is banned by spam");
    let [why] = &objects(&relay, &["why", "192.0.2.7", "--json"])[..] else {
        panic!("one object");
    };
    let lines = why["bans"][0]["lines"].as_array().unwrap();
    let told = |of: &str| -> Vec<String> { lines.iter().map(|line| line[of].as_str().unwrap().to_owned()).collect() };
    assert_eq!(browser.texts("#why ol code"), told("line"));
    assert_eq!(browser.texts("#why ol + h4 + ul code"), [told("failregex")[0].as_str()]);
    let story = browser.text("#why-story");
    for part in [
        "tcp/25",
        "for 2 failures",
        "number 1; the next one lasts 60 min too",
        "5 packets, the last ",
        "blocker unban 192.0.2.7",
    ] {
        assert!(story.contains(part), "{part}: {story}");
    }
    browser.click("#why-close");
    // Also of somebody who is not banned.
    browser.enters("#search-text", "198.51.100.7");
    browser.shows("#bans-count", "No ban in force is found");
    browser.shows("#ask-why", "What is known of 198.51.100.7?");
    browser.click("#ask-why");
    browser.shows("#why-heading", "198.51.100.7 is not banned");
    browser.shows("#why-story", "ignoreip of the jail covers it, by 198.51.100.0/24");
    browser.is_clean();
}

#[test]
fn a_table_of_many_is_searched_sorted_and_turned_leaf_by_leaf() {
    let relay = four_jails(2);
    fill(&relay, 300);
    let mut agent = relay.start("nftables");
    blocker(&relay, &["ban", "203.0.113.0/24", "--jail", "auth", "--for", "10m"]);
    agent.says(&["INFO banned", "203.0.113.0/24"]);
    knock(&relay, FIRST, 30);
    let told = |arguments: &[&str]| addresses(&objects(&relay, &[&["bans", "--json"], arguments].concat()));
    let browser = Browser::start(&relay);
    browser.shows("#bans-count", "1–50 of 301 bans in force");
    comes_to(&browser, &told(&["--sort", "since", "--limit", "50"]));
    assert_eq!(shown(&browser)[0], "203.0.113.0/24", "the latest first");

    let all = told(&["--sort", "since"]);
    browser.click("#later");
    browser.shows("#bans-count", "51–100 of 301");
    comes_to(&browser, &all[50..100]);
    for sort in ["address", "until", "failures", "packets"] {
        browser.click(&format!("button[data-sort={sort}]"));
        browser.shows("#bans-count", "1–50 of 301");
        comes_to(&browser, &told(&["--sort", sort, "--limit", "50"]));
        let sorted = browser.texts("th:is([aria-sort=ascending], [aria-sort=descending]) button");
        assert_eq!(sorted.len(), 1, "{sorted:?}");
    }
    assert_eq!(shown(&browser)[0], "192.0.2.7", "who has sent the most packets");
    for _ in 0..6 {
        browser.click("#later");
        eventually("the leaf is turned", || {
            browser.script("return !document.querySelector('#bans[aria-busy]')") == true
        });
    }
    browser.shows("#bans-count", "301–301 of 301");
    assert_eq!(browser.script("return document.querySelector('#later').disabled"), true);

    browser.click("button[data-sort=address]");
    for (search, count) in [
        ("192.0.2.7", "1 ban in force"),
        ("203.0.113.99", "1 ban in force"),
        ("10.0.0.0/25", "127 bans"),
        ("10.0.1.", "44 bans"),
        ("UNKNOWN", "75 bans"),
        ("nowhere", "No ban in force is found"),
        ("", "301 bans"),
    ] {
        browser.enters("#search-text", search);
        browser.shows("#bans-count", count);
        let found = api(
            &relay,
            &format!("bans?sort=address&search={}", search.replace('/', "%2F")),
        );
        comes_to(&browser, &addresses(found["bans"].as_array().unwrap()));
    }
    let choose = |id: &str, value: &str| {
        let script = "const one = document.getElementById(arguments[0]); one.value = arguments[1]; one.dispatchEvent(new Event('change'));";
        browser
            .session
            .post("execute/sync", &json!({"script": script, "args": [id, value]}));
    };
    choose("search-origin", "manual");
    browser.shows("#bans-count", "1 ban in force");
    comes_to(&browser, &["203.0.113.0/24".to_owned()]);
    choose("search-origin", "");
    for jail in JAILS {
        choose("search-jail", jail);
        let of_jail = told(&["--jail", jail, "--sort", "address"]);
        browser.shows("#bans-count", &format!("of {} bans", of_jail.len()));
        comes_to(&browser, &of_jail[..50]);
    }
    let counts = api(&relay, "bans")["counts"].clone();
    assert!(
        counts
            .as_array()
            .unwrap()
            .contains(&json!({"jail": "auth", "origin": "manual", "bans": 1})),
        "{counts}"
    );
    browser.is_clean();
}

#[test]
fn what_is_wrong_comes_first_in_the_words_of_status() {
    let relay = Relay::new("3600");
    let broken = std::fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&(broken + "[broken]\nenabled = true\nfilter = absent\nlogpath = /dev/null\n"));
    let mut command = relay.command("nftables");
    command.arg("--skip-broken-jails");
    let mut agent = blocker_tests::agent::Agent::start(command);
    agent.says(&[" ready "]);
    let browser = Browser::start(&relay);
    browser.shows("#verdict-heading", "Something is wrong");
    let problem = "jail broken does not run: `blocker check` says why";
    assert_eq!(browser.texts("#problems li"), [problem]);
    let text = String::from_utf8(blocker(&relay, &["status"]).stdout).unwrap();
    assert!(text.starts_with(&format!("! {problem}\n")), "{text}");
    assert_eq!(browser.script("return document.title"), "! blocker: Something is wrong");
    browser.screenshot("wrong");
}
