//! A real Chromium on the relay that looks at the agent's page.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use blocker_tests::eventually;
use blocker_tests::relay::Relay;
use serde_json::{Value, json};

use super::webdriver::{self, ELEMENT, Session};

/// Where the page is.
pub const PAGE: &str = "http://127.0.0.1:9919/";

/// Keys, as WebDriver has them.
pub const TAB: &str = "\u{e004}";
pub const SHIFT: &str = "\u{e008}";
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";
pub const RIGHT: &str = "\u{e014}";
pub const SPACE: &str = " ";

/// A browser with a window; it ends with this value.
pub struct Browser<'a> {
    driver: Child,
    pub session: Session<'a>,
    /// Requests that were looked at.
    requests: Cell<usize>,
}

impl<'a> Browser<'a> {
    /// Starts a browser on the relay, and opens the page.
    pub fn start(relay: &'a Relay) -> Self {
        let browser = Self::without_page(relay);
        browser.open(PAGE);
        browser
    }

    /// Starts a browser on the relay.
    pub fn without_page(relay: &'a Relay) -> Self {
        let folder = relay.lab.folder().join("chromium");
        fs::create_dir_all(&folder).unwrap();
        let mut command = relay.lab.relay().command("chromedriver");
        command
            .arg(format!("--port={}", webdriver::ADDRESS.port()))
            .env("HOME", &folder)
            .env("TMPDIR", &folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let driver = command.spawn().expect("no chromedriver: run `cargo xtask setup`");
        eventually("chromedriver listens", || {
            webdriver::command(relay, "GET", "/status", &Value::Null).is_some()
        });
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,1000",
            "--hide-scrollbars",
            // Names of the tests' own that come to the relay, as an attacker's would.
            "--host-resolver-rules=MAP *.example 127.0.0.1",
            &profile,
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        Self {
            driver,
            session: Session::new(relay, capabilities),
            requests: Cell::new(0),
        }
    }

    pub fn open(&self, url: &str) {
        self.session.post("url", &json!({"url": url}));
    }

    /// What a script of the test's comes to in the page.
    pub fn script(&self, script: &str) -> Value {
        self.session
            .post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Has the browser do something that only Chromium's own protocol knows.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.session
            .post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// The first element that a selector finds.
    pub fn find(&self, selector: &str) -> String {
        let found = self
            .session
            .post("element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// What an element says, as it is rendered.
    pub fn text(&self, selector: &str) -> String {
        let selector = json!(selector);
        let text = self.script(&format!("return document.querySelector({selector})?.innerText ?? ''"));
        text.as_str().unwrap().to_owned()
    }

    /// The texts of all elements that a selector finds.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let selector = json!(selector);
        let all = format!("return [...document.querySelectorAll({selector})].map((one) => one.textContent)");
        let texts = self.script(&all);
        texts
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until an element says this, among other things.
    pub fn shows(&self, selector: &str, part: &str) {
        eventually(&format!("{selector} shows `{part}`"), || {
            self.text(selector).contains(part)
        });
    }

    /// Clicks on an element, though the page may put another in its place just then.
    pub fn click(&self, selector: &str) {
        eventually(&format!("{selector} is clicked"), || {
            let element = self.find(selector);
            self.session
                .try_post(&format!("element/{element}/click"), &json!({}))
                .is_ok()
        });
    }

    /// Types where the focus is.
    pub fn types(&self, keys: &str) {
        let presses = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [
                json!({"type": "keyDown", "value": key}),
                json!({"type": "keyUp", "value": key}),
            ]
        });
        let presses: Vec<Value> = presses.collect();
        self.session.post(
            "actions",
            &json!({"actions": [{"type": "key", "id": "keys", "actions": presses}]}),
        );
    }

    /// Types a text in place of the one that is there.
    pub fn enters(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.session.post(&format!("element/{element}/clear"), &json!({}));
        if text.is_empty() {
            self.script(&format!(
                "document.querySelector({}).dispatchEvent(new Event('input'))",
                json!(selector)
            ));
        } else {
            self.session
                .post(&format!("element/{element}/value"), &json!({"text": text}));
        }
    }

    /// The role and the name that a screen reader is told of an element; `None` where another has taken its place meanwhile.
    pub fn accessible(&self, element: &str) -> Option<(String, String)> {
        let told = |what: &str| self.session.get(&format!("element/{element}/{what}")).ok();
        let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
        Some((text(told("computedrole")?), text(told("computedlabel")?)))
    }

    pub fn is_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    pub fn is_wide(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Saves what is seen as a picture, where somebody wants it: `BLOCKER_SCREENSHOTS=DIR cargo test … --test page`.
    pub fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("BLOCKER_SCREENSHOTS") else {
            return;
        };
        let picture = self.session.get("screenshot").unwrap();
        let file = PathBuf::from(folder).join(format!("{name}.png"));
        let mut decode = std::process::Command::new("base64")
            .arg("--decode")
            .stdin(Stdio::piped())
            .stdout(fs::File::create(&file).unwrap())
            .spawn()
            .unwrap();
        let mut input = decode.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, picture.as_str().unwrap().as_bytes()).unwrap();
        drop(input);
        assert!(decode.wait().unwrap().success());
    }

    /// What the browser has complained of since the last look, of a kind that nothing but a fault brings about.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.session.post("se/log", &json!({"type": "browser"}));
        let entries = log.as_array().unwrap().iter();
        entries
            .filter(|entry| {
                entry["level"] == "SEVERE" || entry["message"].as_str().unwrap().contains("Security Policy")
            })
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The addresses that the browser has asked since the last look; those of its own that are on no network are left out.
    pub fn asked(&self) -> Vec<String> {
        let log = self.session.post("se/log", &json!({"type": "performance"}));
        let events = log.as_array().unwrap().iter();
        let urls: Vec<String> = events
            .filter_map(|entry| {
                let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
                let event = &event["message"];
                (event["method"] == "Network.requestWillBeSent")
                    .then(|| event["params"]["request"]["url"].as_str().map(str::to_owned))?
            })
            .filter(|url: &String| !url.starts_with("chrome:") && !url.starts_with("data:"))
            .collect();
        self.requests.set(self.requests.get() + urls.len());
        urls
    }

    /// Nothing was asked for but from the page's own server, and nothing was wrong on the page.
    pub fn is_clean(&self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
        for url in self.asked() {
            assert!(url.starts_with(PAGE), "{url}");
        }
        assert!(self.requests.get() > 0, "the browser tells what it asks");
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        self.session.close();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
