//! Without a mouse, and without eyes: everything is reached by keys, has a name, and says what it is.

use std::collections::BTreeSet;

use blocker_tests::eventually;

use super::browser::{Browser, ENTER, ESCAPE, PAGE, RIGHT, SHIFT, SPACE, TAB};
use super::webdriver::ELEMENT;
use super::*;

/// What has the focus, as a short name.
const FOCUSED: &str = "const one = document.activeElement;
    return one === document.body ? '' : one.id || one.dataset.ban || one.dataset.sort || one.value || one.textContent;";

fn focused(browser: &Browser<'_>) -> String {
    browser.script(FOCUSED).as_str().unwrap().to_owned()
}

fn with_bans(relay: &Relay) -> (blocker_tests::agent::Agent, Browser<'_>) {
    let mut agent = relay.start("nftables");
    for host in [FIRST, SECOND] {
        relay.reject(host, 2);
        agent.says(&["INFO banned", &format!("address={host} ")]);
    }
    let browser = Browser::start(relay);
    browser.shows("#bans tbody", "192.0.2.8");
    (agent, browser)
}

#[test]
fn everything_is_done_by_keys_alone() {
    let relay = Relay::new("3600");
    let (_agent, browser) = with_bans(&relay);
    let mut order = Vec::new();
    for _ in 0..40 {
        browser.types(TAB);
        let on = focused(&browser);
        if on.is_empty() {
            break;
        }
        // Where the focus is can be seen.
        let outline = browser.script(
            "let one = document.activeElement; if (one.type === 'radio') one = one.nextElementSibling;
             return getComputedStyle(one).outlineStyle",
        );
        assert_eq!(outline, "solid", "{on}");
        order.push(on);
    }
    let reached: Vec<&str> = order.iter().map(String::as_str).collect();
    let expected = [
        "Skip to the bans",
        "1h",
        "Dropped packets as a table",
        "Bans and failures as a table",
        "search-text",
        "search-jail",
        "search-origin",
        "address",
        "since",
        "until",
        "failures",
        "packets",
    ];
    let mut rest = reached.iter();
    for one in expected {
        assert!(rest.any(|on| *on == one), "{one} in this order: {reached:?}");
    }
    let bans: BTreeSet<&str> = rest.copied().collect();
    assert!(
        bans.contains("spam 192.0.2.7") && bans.contains("spam 192.0.2.8"),
        "{bans:?}"
    );

    browser.open(PAGE);
    browser.shows("#bans tbody", "192.0.2.8");
    browser.types(TAB);
    browser.types(ENTER);
    eventually("the bans' heading has the focus", || {
        focused(&browser) == "bans-heading"
    });
    browser.types(TAB);
    assert_eq!(focused(&browser), "search-text");
    browser.types("192.0.2.7");
    browser.shows("#bans-said", "1 ban in force");
    for _ in 0..20 {
        if focused(&browser) == "spam 192.0.2.7" {
            break;
        }
        browser.types(TAB);
    }
    browser.types(ENTER);
    browser.shows("#why-heading", "192.0.2.7 is banned by spam");
    let inside = "return document.querySelector('#why').contains(document.activeElement)";
    for _ in 0..3 {
        assert!(
            browser.script(inside) == true || focused(&browser).is_empty(),
            "the focus stays in the dialog"
        );
        browser.types(TAB);
    }
    browser.types(ESCAPE);
    assert_eq!(browser.script("return document.querySelector('#why').open"), false);
    assert_eq!(
        focused(&browser),
        "spam 192.0.2.7",
        "and goes back to where it came from"
    );

    // The table is asked for anew while somebody stands on a row of it.
    browser.script("window.row = document.querySelector('#bans tbody tr')");
    let replaced = "return window.row !== document.querySelector('#bans tbody tr') && !window.row.isConnected";
    eventually("the table is new", || browser.script(replaced) == true);
    assert_eq!(focused(&browser), "spam 192.0.2.7");

    browser.script("document.querySelector('button[data-sort=address]').focus()");
    browser.types(SPACE);
    let sorted = "return document.querySelector('button[data-sort=address]').parentElement.ariaSort";
    assert_eq!(browser.script(sorted), "ascending");
    browser.script("document.querySelector('input[value=\"1h\"]').focus()");
    browser.types(RIGHT);
    assert_eq!(
        browser.script("return document.querySelector('input[name=span]:checked').value"),
        "6h"
    );
    browser.script("document.querySelector('#dropped-details summary').focus()");
    browser.types(ENTER);
    browser.shows("#dropped-details thead", "Until");
    browser.session.post(
        "actions",
        &serde_json::json!({"actions": [{"type": "key", "id": "keys", "actions": [
            {"type": "keyDown", "value": SHIFT}, {"type": "keyDown", "value": TAB},
            {"type": "keyUp", "value": TAB}, {"type": "keyUp", "value": SHIFT}]}]}),
    );
    assert_eq!(focused(&browser), "6h", "and back again");
    browser.is_clean();
}

#[test]
fn a_screen_reader_is_told_what_everything_is() {
    let relay = Relay::new("3600");
    let (_agent, browser) = with_bans(&relay);
    browser.click("#bans tbody th button");
    browser.shows("#why-heading", "is banned by spam");
    let told = |selector: &str| -> Option<Vec<(String, String)>> {
        let found = browser.session.post(
            "elements",
            &serde_json::json!({"using": "css selector", "value": selector}),
        );
        let found = found.as_array().unwrap().iter();
        found
            .map(|element| browser.accessible(element[ELEMENT].as_str().unwrap()))
            .collect()
    };
    let check = |selector: &str, role: Option<&str>| {
        let mut elements = None;
        eventually("the elements stay while they are looked at", || {
            elements = told(selector);
            elements.is_some()
        });
        let elements = elements.unwrap();
        assert!(!elements.is_empty(), "{selector}");
        for (is, name) in &elements {
            assert!(!name.trim().is_empty(), "{selector} has no name");
            assert!(role.is_none_or(|role| is == role), "{selector} {name}: {is}");
        }
        elements.into_iter().map(|(_, name)| name).collect::<BTreeSet<String>>()
    };
    check("dialog", Some("dialog"));
    check("dialog button", Some("button"));
    browser.click("#why-close");
    check("main > section, .beside > section", Some("region"));
    check(".chart", Some("image"));
    check("#search", Some("search"));
    check("#search-text", Some("searchbox"));
    check("select", Some("combobox"));
    let whys = check("#bans tbody button", Some("button"));
    assert_eq!(whys.into_iter().collect::<Vec<_>>(), ["Why 192.0.2.7", "Why 192.0.2.8"]);
    check("thead button", Some("button"));
    check("fieldset", Some("group"));
    check("input[type=radio]", Some("radio"));
    check("#bans", Some("table"));
    check("#bans thead th, #jails thead th", Some("columnheader"));
    check("#bans tbody th, #jails tbody th", Some("rowheader"));
    check("nav", Some("navigation"));
    check("#health .sign", None);
    let described = "return [...document.querySelectorAll('.chart')].every((chart) =>
        document.getElementById(chart.getAttribute('aria-describedby')).textContent.length > 5)";
    assert_eq!(
        browser.script(described),
        true,
        "a chart has a sentence that says the same"
    );
    let structure = "return [document.documentElement.lang, document.querySelectorAll('h1').length, document.querySelectorAll('main').length]";
    assert_eq!(browser.script(structure), serde_json::json!(["en", 1, 1]));

    // What is read out by itself is only what has become otherwise: nothing, while all stays as it is.
    browser.script(
        "window.said = [];
         for (const live of document.querySelectorAll('[role=status], [role=alert], [aria-live]'))
             new MutationObserver(() => said.push(live.textContent)).observe(live, {childList: true, characterData: true, subtree: true});
         window.row = document.querySelector('#bans tbody tr');",
    );
    eventually("the table is asked for anew", || {
        browser.script("return !window.row.isConnected") == true
    });
    assert_eq!(browser.script("return window.said"), serde_json::json!([]));
}
