//! Nothing that came out of a log becomes markup or a script, whatever is in it.

use std::fs;

use blocker::problem::printable;
use blocker_tests::agent::Agent;
use serde_json::json;

use super::browser::Browser;
use super::*;

/// What somebody would have the page do.
const PAYLOADS: [&str; 9] = [
    "<script>window.owned=1;alert(1)</script>",
    "\"><img src=x onerror=alert(2)>",
    "'><svg onload=alert(3)>",
    "</code></li></dialog><iframe src=http://evil.example/></iframe>",
    "<a href=javascript:alert(4)>x</a>",
    "<link rel=stylesheet href=http://evil.example/x.css><style>*{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=http://evil.example/>",
    "{{constructor.constructor('alert(5)')()}}${alert(6)}",
    "\u{1b}[2J\u{9b}31m\u{202e}drawkcab\u{2066}\u{7f}\u{8}\tend",
];

/// A log whose name is markup too; that of a jail cannot be.
const LOG: &str = "mail\"><script>alert(8)<!--.log";

#[test]
fn markup_and_scripts_in_every_field_are_shown_as_text_and_do_nothing() {
    let relay = Relay::new("3600");
    let log = relay.lab.folder().join(LOG);
    fs::write(&log, "").unwrap();
    let filter =
        "[Definition]\nfailregex = rejected .*\\[<HOST>\\] user=<F-USER>.*</F-USER>(?:|<img src=x onerror=alert>)$\n";
    fs::write(relay.config().join("filter.d/lenient.conf"), filter).unwrap();
    relay.configure(&format!(
        "[spam]\nenabled = true\nfilter = lenient\nport = smtp\nlogpath = {}\nmaxretry = {}\n",
        log.display(),
        PAYLOADS.len()
    ));
    let mut agent: Agent = relay.start("nftables");
    let lines: Vec<String> = PAYLOADS
        .iter()
        .map(|payload| {
            let time = jiff::Timestamp::now();
            format!("{time:.6} relay smtpd[1]: rejected {payload} [192.0.2.7] user={payload}")
        })
        .collect();
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    agent.says(&["INFO banned", "address=192.0.2.7 "]);

    let browser = Browser::start(&relay);
    browser.shows("#bans tbody", "192.0.2.7");
    assert!(browser.text("#health").contains(LOG), "{}", browser.text("#health"));
    browser.click("#bans tbody th button");
    browser.shows("#why-heading", "192.0.2.7 is banned by spam");
    assert!(browser.texts("#why ul code")[0].ends_with("(?:|<img src=x onerror=alert>)$"));
    let shown = browser.texts("#why ol code");
    let expected: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    assert_eq!(shown, expected);
    // As on a terminal.
    let text = String::from_utf8(blocker(&relay, &["why", "192.0.2.7"]).stdout).unwrap();
    for line in &shown {
        assert!(text.contains(line), "{line}: {text}");
    }
    browser.screenshot("hostile");
    browser.click("#why-close");
    for payload in &PAYLOADS[..8] {
        let payload: String = payload.chars().take(64).collect();
        browser.enters("#search-text", &payload);
        browser.shows("#bans-count", "No ban in force is found");
    }
    // None of it has become an element, has run, has opened a dialog or has asked anybody for anything.
    let made = "return document.querySelectorAll('script:not([src]), img, svg, iframe, a:not(.skip), style, meta[http-equiv], #why *[onload]').length";
    assert_eq!(browser.script(made), 0);
    assert_eq!(browser.script("return document.scripts.length"), 2);
    assert_eq!(browser.script("return typeof window.owned"), "undefined");
    let alert = browser.session.get("alert/text").unwrap_err();
    assert!(alert.contains("no such alert"), "{alert}");
    browser.is_clean();
}

#[test]
fn even_a_fault_of_the_pages_own_could_run_nothing() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    let browser = Browser::start(&relay);
    browser.shows("#verdict-heading", "All is well");
    browser.is_clean();
    for (what, script) in [
        (
            "markup from text",
            "document.body.innerHTML = '<img src=x onerror=alert(1)>'",
        ),
        (
            "a script in the page",
            "const one = document.createElement('script'); one.text = 'window.owned = 1'; document.body.append(one)",
        ),
        (
            "a script from elsewhere",
            "const one = document.createElement('script'); one.src = 'http://192.0.2.100/x.js'; document.body.append(one)",
        ),
    ] {
        let tried = browser
            .session
            .try_post("execute/sync", &json!({"script": script, "args": []}));
        assert!(tried.is_err(), "{what}");
    }
    for script in [
        "const one = document.createElement('img'); one.src = 'http://192.0.2.100/x.png'; document.body.append(one)",
        "fetch('http://192.0.2.100/').catch(() => {})",
        "const one = document.createElement('iframe'); one.src = 'http://192.0.2.100/'; document.body.append(one)",
    ] {
        browser.script(script);
    }
    assert_eq!(browser.script("return typeof window.owned"), "undefined");
    let complaints = browser.complaints();
    assert!(
        complaints.iter().any(|one| one.contains("Content Security Policy")),
        "{complaints:?}"
    );
}
