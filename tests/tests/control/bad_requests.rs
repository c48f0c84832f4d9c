//! Requests that are wrong change nothing and are told why; whoever says nothing disturbs nobody.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use blocker::instance::Namespace;
use blocker_tests::relay::Relay;

use super::{blocker, objects, told};

pub(super) fn socket(relay: &Relay) -> PathBuf {
    let socket = || Namespace::own().unwrap().socket();
    relay.lab.relay().enter(socket).unwrap()
}

fn exchange(relay: &Relay, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket(relay)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may have answered before all was written.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn with_body(method: &str, path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn a_request_that_is_wrong_gets_a_problem_document_and_changes_nothing() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    told(&blocker(&relay, &["ban", "192.0.2.8"]));
    let before = told(&blocker(&relay, &["bans", "--json"]));
    let json = "application/json";
    let huge = vec![b' '; 100_000];
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    for (request, status) in [
        (get("/"), 404),
        (get("/v1/absent"), 404),
        (with_body("PUT", "/v1/bans", json, b"{}"), 405),
        (with_body("DELETE", "/v1/status", json, b""), 405),
        (
            with_body("POST", "/v1/bans", "text/plain", b"{\"address\":\"192.0.2.9\"}"),
            415,
        ),
        (with_body("POST", "/v1/bans", json, b""), 400),
        (with_body("POST", "/v1/bans", json, b"{\"address\":\"192.0.2.9\""), 400),
        (with_body("POST", "/v1/bans", json, b"{\"address\":7}"), 400),
        (
            with_body("POST", "/v1/bans", json, b"{\"address\":\"192.0.2.9\",\"secs\":1}"),
            400,
        ),
        (
            with_body("POST", "/v1/bans", json, b"{\"address\":\"192.0.2.9\xff\"}"),
            400,
        ),
        (with_body("POST", "/v1/bans", json, b"{\"address\":\"nobody\"}"), 400),
        (with_body("POST", "/v1/bans", json, b"{\"address\":\"0.0.0.0/0\"}"), 422),
        (with_body("POST", "/v1/bans", json, b"{\"address\":\"::/3\"}"), 422),
        (
            with_body("POST", "/v1/bans", json, b"{\"address\":\"192.0.2.9\",\"seconds\":0}"),
            422,
        ),
        (
            with_body(
                "POST",
                "/v1/bans",
                json,
                b"{\"address\":\"192.0.2.9\",\"seconds\":18446744073709551615}",
            ),
            422,
        ),
        (
            with_body(
                "POST",
                "/v1/bans",
                json,
                b"{\"address\":\"192.0.2.9\",\"jail\":\"absent\"}",
            ),
            404,
        ),
        (with_body("POST", "/v1/bans", json, &huge), 413),
        (get("/v1/bans?sort=colour"), 400),
        (get("/v1/bans?limit=-1"), 400),
        (get("/v1/bans?address=nobody"), 400),
        (get("/v1/bans?address=192.0.2.8&address=192.0.2.9"), 400),
        (get("/v1/bans?color=red"), 400),
        (get("/v1/bans?address=%ff"), 400),
        (get("/v1/why"), 400),
        (get("/v1/why?address="), 400),
        (get("/v1/why?address=nobody"), 400),
        (get("/v1/why?address=%1b%5b2J"), 400),
        (get("/v1/why?address=%ff"), 400),
        (get("/v1/why?address=192.0.2.8&jail=spam"), 400),
        (get("/v1/why?address=192.0.2.8&address=192.0.2.9"), 400),
        (with_body("POST", "/v1/why", json, b"{}"), 405),
        (with_body("DELETE", "/v1/bans", json, b""), 400),
        (with_body("DELETE", "/v1/bans?jail=absent", json, b""), 404),
        (with_body("DELETE", "/v1/bans?jail=spam&limit=1", json, b""), 400),
    ] {
        let answer = exchange(&relay, &request);
        let what = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        assert!(
            answer.contains("content-type: application/problem+json"),
            "{what}: {answer}"
        );
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], status, "{what}");
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    for request in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", &[b'A'; 100_000]] {
        let _ = exchange(&relay, request);
    }
    assert_eq!(told(&blocker(&relay, &["bans", "--json"])), before);
}

#[test]
fn a_thousand_idle_connections_disturb_nobody() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    let mut idle: Vec<UnixStream> = Vec::new();
    for _ in 0..1000 {
        let mut stream = UnixStream::connect(socket(&relay)).unwrap();
        let _ = stream.write_all(b"GET /v1/st");
        idle.push(stream);
    }
    let began = Instant::now();
    assert_eq!(objects(&blocker(&relay, &["status", "--json"])).len(), 1);
    let answered = began.elapsed();
    assert!(answered < Duration::from_secs(2), "{answered:?}");
    // All of them are cut off, without a word of theirs.
    let cut_off = Duration::from_secs(15);
    for stream in &mut idle {
        stream.set_read_timeout(Some(cut_off)).unwrap();
        let mut rest = Vec::new();
        assert!(!matches!(stream.read_to_end(&mut rest), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock));
    }
    println!("with 1000 idle connections: status in {answered:?}; all were cut off");
}

#[test]
fn another_user_is_sent_away_whatever_the_permissions_say() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    let path = socket(&relay);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let script = format!(
        "import os, socket\nos.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\ns.connect({path:?})\n\
         s.sendall(b'GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\nprint(len(s.recv(10)))\n"
    );
    let output = std::process::Command::new("python3")
        .args(["-c", &script])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.trim() == "0" || !output.status.success(), "{output:?}");
    agent.says(&[
        "WARN somebody who may not has called on the control socket",
        "uid=65534",
    ]);
    assert_eq!(objects(&blocker(&relay, &["status", "--json"])).len(), 1);
}
