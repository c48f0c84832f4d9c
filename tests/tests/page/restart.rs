//! A page that is open while the agent is gone says so, and goes on with the next one.

use blocker_tests::eventually;
use nix::sys::signal::Signal;

use super::browser::Browser;
use super::*;

#[test]
fn an_open_page_says_that_the_agent_is_gone_and_goes_on_with_the_next_one() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned"]);
    let browser = Browser::start(&relay);
    browser.shows("#verdict-heading", "All is well");
    browser.shows("#bans tbody", "192.0.2.7");
    agent.signal(Signal::SIGKILL);
    agent.ends();
    browser.shows("#verdict-heading", "The agent does not answer");
    browser.shows("#problems", "bans in force stay in the kernel without it");
    browser.shows("#verdict-note", "no connection");
    assert!(browser.text("#bans tbody").contains("192.0.2.7"), "its last word stays");
    assert_eq!(
        browser.script("return document.title"),
        "✕ blocker: The agent does not answer"
    );
    browser.screenshot("gone");
    // What cannot be answered now does no harm.
    browser.enters("#search-text", "192.0.2");
    browser.click("input[name=span][value='6h'] + span");

    let mut next = relay.start("nftables");
    browser.shows("#verdict-heading", "All is well");
    assert!(!browser.text("body").contains("does not answer"));
    relay.reject(SECOND, 2);
    next.says(&["INFO banned", "address=192.0.2.8 "]);
    browser.shows("#now-bans", "2");
    eventually("the new ban is in the table", || {
        browser.texts("#bans tbody th button") == ["192.0.2.8", "192.0.2.7"]
    });
    assert_eq!(browser.script("return document.body.className"), "");
}
