//! How the page looks: readable by day and by night, on a telephone too.
//!
//! `BLOCKER_SCREENSHOTS=DIR cargo test -p blocker-tests --test page looks` saves what it sees there; docs/images/page.png is its `page.png`.

use std::time::Duration;

use blocker_tests::eventually;
use blocker_tests::knocking::knock;
use blocker_tests::two_jails::{Attack, two_jails};

use super::browser::Browser;
use super::*;

/// Texts whose contrast with what they stand on is less than WCAG 2 asks for (1.4.3, level AA).
const PALE: &str = r"
    const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = ([red, green, blue]) => {
        const [r, g, b] = [red, green, blue].map((c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const colour = channels(getComputedStyle(at).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return channels(getComputedStyle(document.body).backgroundColor);
    };
    const pale = [];
    for (const one of document.querySelectorAll('body *')) {
        const text = [...one.childNodes].filter((child) => child.nodeType === 3).map((child) => child.textContent).join('').trim();
        if (text === '' || one.offsetParent === null || one.disabled || one.closest('.unseen, noscript, .skip')) continue;
        const [ink, under] = [light(channels(getComputedStyle(one).color)), light(ground(one))];
        const contrast = (Math.max(ink, under) + 0.05) / (Math.min(ink, under) + 0.05);
        if (contrast < 4.5) pale.push(`${one.tagName} ${text.slice(0, 40)} ${contrast.toFixed(2)}`);
    }
    return pale;";

/// How long the attack goes on where pictures are wanted: a chart of a quarter of an hour needs something to show.
const MINUTES: Duration = Duration::from_secs(11 * 60);

#[test]
fn it_is_readable_by_day_and_by_night_and_on_a_narrow_screen() {
    let relay = two_jails();
    let mut agent = relay.start("xdp");
    let mut attack = Attack::begin(&relay, &mut agent);
    blocker(&relay, &["ban", "203.0.113.0/24", "--for", "1d", "--jail", "spam"]);
    blocker(&relay, &["ban", "2001:db8:bad::/48", "--jail", "sasl"]);
    let browser = Browser::start(&relay);
    browser.is_wide(1280, 1400);
    browser.click("input[name=span][value='15m'] + span");
    browser.shows("#bans tbody", "2001:db8:bad::/48");
    if std::env::var_os("BLOCKER_SCREENSHOTS").is_some() {
        attack.go_on(MINUTES);
        browser.click("button[data-sort=packets]");
    }
    knock(&relay, IpAddr::from([192, 0, 2, 21]), 200);
    browser.shows("#dropped-summary", "at most");
    eventually("the chart is drawn", || {
        browser.script("return document.querySelectorAll('.chart canvas').length") == 2
    });
    for (dark, name) in [(false, "page"), (true, "dark")] {
        browser.is_dark(dark);
        eventually("the colours are there", || {
            let ground = browser.script("return getComputedStyle(document.body).backgroundColor");
            (ground == "rgb(14, 20, 27)") == dark
        });
        assert_eq!(browser.script(PALE), serde_json::json!([]), "{name}");
        browser.screenshot(name);
        browser.click("#bans tbody th button");
        browser.shows("#why-story", "To lift it");
        assert_eq!(browser.script(PALE), serde_json::json!([]), "{name}");
        browser.screenshot(&format!("{name}-why"));
        browser.click("#why-close");
    }
    browser.is_dark(false);
    browser.is_wide(360, 2400);
    let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    eventually("nothing stands out of a narrow screen", || {
        browser.script(overflow) == 0
    });
    browser.screenshot("narrow");
    browser.is_clean();
}
