//! The page behind a reverse proxy, below a path and by another name; and by a name that somebody else has pointed here.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::browser::Browser;
use super::*;

const PROXY: &str = "127.0.0.1:8080";

/// A reverse proxy that hands on what lies below `/blocker/`, one request a connection.
fn proxy(listener: &TcpListener) {
    for client in listener.incoming() {
        // A browser may open a connection and say nothing on it.
        let Ok(client) = client else { return };
        std::thread::spawn(move || hand_on(&client));
    }
}

fn hand_on(client: &TcpStream) -> Option<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(client);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut server = TcpStream::connect("127.0.0.1:9919").ok()?;
    let head = head.replacen(" /blocker/", " /", 1);
    server.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    let mut client = client;
    client.write_all(&answer).ok()?;
    client.shutdown(Shutdown::Write).ok()
}

#[test]
fn the_page_works_below_a_path_of_a_reverse_proxy() {
    let relay = Relay::new("3600");
    fs::write(
        relay.config().join("blocker.toml"),
        "[metrics]\nhosts = [\"relay.example\"]\n",
    )
    .unwrap();
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned"]);
    let listener = relay.lab.relay().enter(|| TcpListener::bind(PROXY).unwrap()).unwrap();
    // It ends with the test's process.
    let _proxy = relay.lab.relay().spawn(move || proxy(&listener));
    let browser = Browser::without_page(&relay);
    browser.open("http://relay.example:8080/blocker/");
    browser.shows("#verdict-heading", "All is well");
    browser.shows("#bans tbody", "192.0.2.7");
    browser.click("#bans tbody th button");
    browser.shows("#why-heading", "192.0.2.7 is banned by spam");
    let mut complaints = browser.complaints();
    // Without TLS a browser heeds that header for this machine's own names alone, and says so.
    complaints.retain(|one| !one.contains("Cross-Origin-Opener-Policy"));
    assert_eq!(complaints, Vec::<String>::new());
    for url in browser.asked() {
        assert!(url.starts_with("http://relay.example:8080/blocker/"), "{url}");
    }
}

#[test]
fn by_a_name_that_somebody_has_pointed_here_a_browser_finds_no_page() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    let browser = Browser::without_page(&relay);
    browser.open("http://evil.example:9919/");
    browser.shows("body", "the page does not go by this name");
    // Nor does a site by another name get at the data of the page by its right one.
    let read = "const done = arguments[0];
        fetch('http://127.0.0.1:9919/api/bans').then((answer) => answer.text()).then(done, () => done('refused'))";
    let told = browser
        .session
        .post("execute/async", &serde_json::json!({"script": read, "args": []}));
    assert_eq!(told, "refused");
}
