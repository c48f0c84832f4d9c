//! How the page looks: readable by day and by night, on a telephone too.
//!
//! `BLOCKER_SCREENSHOTS=DIR cargo test -p blocker-tests --test page looks` saves what it sees there; docs/images/page.png is its `page.png`.

use std::time::{Duration, Instant};

use blocker_tests::knocking::knock;
use blocker_tests::{eventually, eventually_within};

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

/// How long spam goes on where pictures are wanted.
const MINUTES: Duration = Duration::from_secs(150);

/// A relay under some spam, with bans of two jails and by hand.
fn under_spam(relay: &Relay) -> blocker_tests::agent::Agent {
    let jail = std::fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    let harvest = jail
        .replace("[spam]", "[harvest]")
        .replace("maxretry = 2", "maxretry = 4");
    relay.configure(&(jail + &harvest));
    let mut agent = relay.start("xdp");
    for host in 20..40_u8 {
        relay.reject(IpAddr::from([192, 0, 2, host]), if host % 3 == 0 { 4 } else { 2 });
        agent.says(&["INFO banned", &format!("address=192.0.2.{host} ")]);
    }
    blocker(relay, &["ban", "203.0.113.0/24", "--for", "1d", "--jail", "spam"]);
    blocker(relay, &["ban", "2001:db8:bad::/48", "--jail", "harvest"]);
    agent
}

/// Some minutes of spam, now more and now less, with a new host every few seconds: a chart needs something to show.
fn go_on(relay: &Relay, agent: &mut blocker_tests::agent::Agent) {
    let begun = Instant::now();
    let mut new = 40_u8;
    let mut round = 0_u32;
    eventually_within(MINUTES * 2, "some minutes have passed", || {
        round += 1;
        let elapsed = begun.elapsed();
        let wave = 12.0 + 10.0 * (elapsed.as_secs_f64() / 11.0).sin() + f64::from(round % 5);
        // Some knock more than others.
        let host = 20 + (round * round % 37 % 20) as u8;
        knock(relay, IpAddr::from([192, 0, 2, host]), wave as u32);
        if elapsed > Duration::from_secs(u64::from(new - 39) * 5) && new < 90 {
            relay.reject(IpAddr::from([192, 0, 2, new]), 2 + usize::from(new) % 3);
            agent.says(&["INFO banned", &format!("address=192.0.2.{new} ")]);
            new += 1;
        }
        std::thread::park_timeout(Duration::from_millis(100));
        elapsed > MINUTES
    });
}

#[test]
fn it_is_readable_by_day_and_by_night_and_on_a_narrow_screen() {
    let relay = Relay::new("3600");
    let mut agent = under_spam(&relay);
    let browser = Browser::start(&relay);
    browser.is_wide(1280, 1480);
    browser.click("input[name=span][value='15m'] + span");
    browser.shows("#bans tbody", "2001:db8:bad::/48");
    if std::env::var_os("BLOCKER_SCREENSHOTS").is_some() {
        go_on(&relay, &mut agent);
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
