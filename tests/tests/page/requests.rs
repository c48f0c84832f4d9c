//! What the metrics address answers, whoever asks: nothing is changed, nothing is told to strangers, and every answer is armed.

use std::fs;

use serde_json::Value;

use super::*;

/// Headers of every answer, in small letters.
const ARMED: [&str; 7] = [
    "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options: nosniff",
    "x-frame-options: deny",
    "referrer-policy: no-referrer",
    "cache-control: no-store",
    "cross-origin-resource-policy: same-origin",
    "cross-origin-opener-policy: same-origin",
];

const PATHS: [&str; 16] = [
    "/",
    "/page.css",
    "/page.js",
    "/bans.js",
    "/charts.js",
    "/health.js",
    "/text.js",
    "/why.js",
    "/uPlot.js",
    "/uPlot.css",
    "/icon.svg",
    "/api/status",
    "/api/history?span=24h",
    "/api/bans?search=192.0.2.7&sort=packets",
    "/api/why?address=192.0.2.7",
    "/metrics",
];

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost:9919\r\n{headers}\r\n")
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn is_problem(what: &str, (head, body): &(String, String), expected: u16) {
    assert_eq!(status(head), expected, "{what}: {head}\n{body}");
    assert!(
        head.contains("content-type: application/problem+json"),
        "{what}: {head}"
    );
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], expected, "{what}");
    assert!(
        problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
        "{what}"
    );
    is_armed(what, head);
}

fn is_armed(what: &str, head: &str) {
    for header in ARMED {
        assert_eq!(
            head.lines().filter(|line| *line == header).count(),
            1,
            "{what}: {header}\n{head}"
        );
    }
    assert!(!head.contains("access-control-"), "{what}: {head}");
    assert!(!head.contains("unsafe-"), "{what}: {head}");
}

#[test]
fn every_answer_is_armed_and_nothing_can_be_changed() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    blocker(&relay, &["ban", "192.0.2.8"]);
    let before = blocker(&relay, &["bans", "--json"]).stdout;
    for path in PATHS {
        let (head, body) = exchange(&relay, &request("GET", path, ""));
        assert_eq!(status(&head), 200, "{path}: {head}");
        assert!(!body.is_empty(), "{path}");
        is_armed(path, &head);
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            let answer = exchange(&relay, &request(method, path, "Content-Length: 0\r\n"));
            is_problem(&format!("{method} {path}"), &answer, 405);
            assert!(answer.0.contains("allow: get,head"), "{method} {path}: {}", answer.0);
        }
    }
    for path in [
        "/v1/bans",
        "/v1/status",
        "/v1/stop",
        "/v1/reload",
        "/api",
        "/api/",
        "/../etc/passwd",
        "//",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            is_problem(path, &exchange(&relay, &request(method, path, "")), 404);
        }
    }
    assert_eq!(blocker(&relay, &["bans", "--json"]).stdout, before);
}

#[test]
fn what_is_asked_for_is_bounded_and_a_slip_is_told() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    for path in [
        "/api/bans?limit=101",
        "/api/bans?limit=0",
        "/api/bans?limit=-1",
        "/api/bans?limit=99999999999999999999",
        "/api/bans?skip=10001",
        "/api/bans?sort=colour",
        "/api/bans?origin=hearsay",
        "/api/bans?colour=red",
        "/api/bans?jail=a&jail=b",
        "/api/history?span=1y",
        "/api/history?span=1h&more=1",
        "/api/why",
        "/api/why?address=nobody",
        "/api/why?address=%3Cscript%3E",
        &format!("/api/bans?search={}", "1".repeat(65)),
    ] {
        is_problem(path, &exchange(&relay, &request("GET", path, "")), 400);
    }
    let found = api(&relay, "bans?jail=absent");
    assert_eq!(
        (&found["matching"], found["bans"].as_array().unwrap().len()),
        (&0.into(), 0)
    );
}

#[test]
fn only_who_calls_the_page_by_its_name_is_answered() {
    let relay = Relay::new("3600");
    fs::write(
        relay.config().join("blocker.toml"),
        "[metrics]\nhosts = [\"relay.example\"]\n",
    )
    .unwrap();
    let _agent = relay.start("nftables");
    let by = |path: &str, host: &str| exchange(&relay, &format!("GET {path} HTTP/1.0\r\n{host}\r\n"));
    for path in PATHS.into_iter().filter(|path| *path != "/metrics") {
        for host in [
            "Host: evil.example\r\n",
            "Host: evil.example:9919\r\n",
            "Host: 192.0.2.1:9919\r\n",
            "Host: localhost\r\nHost: evil.example\r\n",
            "Host:\r\n",
            "",
        ] {
            is_problem(&format!("{path} {host:?}"), &by(path, host), 403);
        }
        for host in [
            "Host: 127.0.0.1:9919\r\n",
            "Host: [::1]:9919\r\n",
            "Host: Relay.Example\r\n",
        ] {
            assert_eq!(status(&by(path, host).0), 200, "{path} {host:?}");
        }
    }
    let elsewhere = exchange(
        &relay,
        "GET http://evil.example/api/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    is_problem("a name in the request line", &elsewhere, 403);
    // No address of a host is in them, and collectors call them as they like.
    assert_eq!(status(&by("/metrics", "Host: evil.example\r\n").0), 200);
}

#[test]
fn another_site_in_the_same_browser_is_told_nothing() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    for path in PATHS.into_iter().filter(|path| path.starts_with("/api/")) {
        for site in ["cross-site", "same-site"] {
            let header = format!("Sec-Fetch-Site: {site}\r\nOrigin: http://evil.example\r\n");
            is_problem(path, &exchange(&relay, &request("GET", path, &header)), 403);
        }
        for site in ["same-origin", "none"] {
            let (head, _) = exchange(&relay, &request("GET", path, &format!("Sec-Fetch-Site: {site}\r\n")));
            assert_eq!(status(&head), 200, "{path} {site}");
        }
    }
    // Somebody may follow a link to the page.
    let (head, _) = exchange(&relay, &request("GET", "/", "Sec-Fetch-Site: cross-site\r\n"));
    assert_eq!(status(&head), 200);
}

#[test]
fn the_page_can_be_turned_off_and_on_by_a_reload_while_metrics_stay() {
    let relay = Relay::new("3600");
    let toml = relay.config().join("blocker.toml");
    fs::write(&toml, "[metrics]\npage = false\n").unwrap();
    let _agent = relay.start("nftables");
    for path in PATHS.into_iter().filter(|path| *path != "/metrics") {
        is_problem(path, &exchange(&relay, &request("GET", path, "")), 404);
    }
    assert_eq!(status(&exchange(&relay, &request("GET", "/metrics", "")).0), 200);
    fs::write(&toml, "[metrics]\npage = true\nhosts = [\"relay.example\"]\n").unwrap();
    blocker(&relay, &["reload"]);
    let by_name = "GET / HTTP/1.0\r\nHost: relay.example\r\n\r\n";
    assert_eq!(status(&exchange(&relay, by_name).0), 200);
    // Whoever opens the metrics to others has not opened the page.
    fs::write(&toml, "[metrics]\nlisten = \"0.0.0.0:9919\"\n").unwrap();
    let refused = relay
        .lab
        .relay()
        .command(program())
        .arg("check")
        .arg("--config")
        .arg(relay.config())
        .output();
    assert!(refused.unwrap().status.success());
    fs::write(&toml, "[metrics]\nlisten = \"off\"\n").unwrap();
    blocker(&relay, &["reload"]);
    fs::write(&toml, "[metrics]\nlisten = \"0.0.0.0:9919\"\n").unwrap();
    blocker(&relay, &["reload"]);
    is_problem("open to all", &exchange(&relay, &request("GET", "/", "")), 404);
    assert_eq!(status(&exchange(&relay, &request("GET", "/metrics", "")).0), 200);
}

#[test]
fn lines_of_logs_are_kept_back_where_they_are_not_to_be_shown() {
    let relay = Relay::new("3600");
    let toml = relay.config().join("blocker.toml");
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned"]);
    let told = api(&relay, "why?address=192.0.2.7");
    assert_eq!(
        (&told["lines_shown"], told["bans"][0]["lines"].as_array().unwrap().len()),
        (&true.into(), 2)
    );
    fs::write(&toml, "[metrics]\npage_lines = false\n").unwrap();
    blocker(&relay, &["reload"]);
    let told = api(&relay, "why?address=192.0.2.7");
    assert_eq!(
        (&told["lines_shown"], told["bans"][0]["lines"].as_array().unwrap().len()),
        (&false.into(), 0)
    );
    assert!(!told.to_string().contains("Relay access denied"), "{told}");
}

#[test]
fn no_more_is_told_than_the_page_shows() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let status = api(&relay, "status");
    assert_eq!(
        keys(&status),
        [
            "bans",
            "brake_engaged",
            "dropped_packets",
            "dry_run",
            "enforced_ratio",
            "firewall",
            "interfaces",
            "jails",
            "ledger_durable",
            "now",
            "problems",
            "rate",
            "sources",
            "started",
            "version"
        ]
    );
    assert_eq!(
        keys(&status["jails"][0]),
        [
            "bans",
            "bans_made",
            "dropped",
            "dropped_packets",
            "failures",
            "name",
            "scope"
        ]
    );
    assert_eq!(
        keys(&api(&relay, "history")),
        ["bans", "dropped", "end", "failures", "jails", "slot"]
    );
    assert_eq!(keys(&api(&relay, "bans")), ["bans", "counts", "matching"]);
}
