//! The control socket: any bytes, as a client that has got in may send them.
//!
//! Whoever may speak there is root; what he runs may be confused, and a `curl` may be fed with what attackers wrote. Each connection
//! comes to its end, whatever is not understood is answered by a problem document, and nothing reaches the judge beyond its bounds.
#![no_main]

use std::future::pending;
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, LazyLock, Mutex};

use axum::serve::Listener;
use blocker::api::connections;
use blocker::api::control::{About, AboutJail, Ask, Command, Control, Page, Refusal, Which, router};
use blocker::api::metrics::Metrics;
use blocker::api::model::{self, Reloaded};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Bytes that are under way; an answer is longer.
const PIPE: usize = 1024;
/// A hundred years.
const LONGEST: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);
/// Bans that are asked for at a time.
const MOST: usize = 10_000;

/// Pages that the made-up judge gives before it says that this was the last.
const PAGES: usize = 3;

static CONTROL: LazyLock<Arc<Control>> = LazyLock::new(|| Arc::new(control()));
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // Where everybody waits, time goes on by itself: what is not whole is given up at once, and not after seconds.
    runtime
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be made")
});

/// Where nobody answers nothing would ever be found: once, it is looked that a whole request is answered.
static ANSWERED: LazyLock<()> = LazyLock::new(|| {
    let answer = RUNTIME.block_on(answer(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(
        answer.starts_with(b"HTTP/1.1 200 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
});

fuzz_target!(|data: &[u8]| {
    LazyLock::force(&ANSWERED);
    let answer = RUNTIME.block_on(answer(data));
    check(&answer);
});

/// Sends all of it, waits as long as the agent does for more, and takes what is answered until the agent hangs up.
async fn answer(data: &[u8]) -> Vec<u8> {
    let (client, server) = duplex(PIPE);
    let (mut read, mut write) = tokio::io::split(client);
    let request = async {
        // The agent may have enough of it before all is written.
        let _ = write.write_all(data).await;
    };
    let response = async {
        let mut answer = Vec::new();
        let _ = read.read_to_end(&mut answer).await;
        answer
    };
    let serve = connections::serve(Once(Some(server)), router(Arc::clone(&CONTROL)));
    tokio::select! {
        (answer, ()) = async { tokio::join!(response, request) } => answer,
        () = serve => unreachable!("it serves for ever"),
    }
}

/// Lets one client in.
struct Once(Option<DuplexStream>);

impl Listener for Once {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.take() {
            Some(stream) => (stream, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing, or an HTTP answer whose body is what its head says.
fn check(answer: &[u8]) {
    if answer.is_empty() {
        return;
    }
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a head ends");
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let head = std::str::from_utf8(head).expect("a head is text");
    let mut lines = head.lines();
    let first = lines.next().expect("a head has a line");
    let status: u16 = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{first}"));
    if status == 100 {
        return check(body);
    }
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let kind = header("content-type");
    match status {
        200 if kind == Some("application/x-ndjson") => {}
        200 => assert_eq!(kind, Some("application/json"), "{head}"),
        202 => assert_eq!(kind, None, "{head}"),
        // What hyper itself says of what is no HTTP, or has too much of it.
        400 | 414 | 431 if kind.is_none() => assert!(body.is_empty(), "{head}"),
        400 | 404 | 405 | 408 | 409 | 413 | 415 | 422 | 503 | 507 => {
            assert_eq!(kind, Some("application/problem+json"), "{head}");
        }
        _ => panic!("no status that is described: {head}"),
    }
    // HEAD is answered like GET, without what that says.
    if body.is_empty() || header("transfer-encoding").is_some() || kind.is_none_or(|kind| kind.ends_with("ndjson")) {
        return;
    }
    let value: Value = serde_json::from_slice(body).expect("what is said is JSON");
    if status >= 400 {
        assert_eq!(value["status"], status);
        assert!(
            value["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{value}"
        );
    }
}

/// An API with a judge behind it who holds every question to its bounds.
fn control() -> Control {
    let (judge, asks) = sync_channel(1);
    let asks: Mutex<Receiver<Ask>> = Mutex::new(asks);
    let (commands, mut commanded) = mpsc::channel(8);
    // The agent, to whom it is not said how often it is told to stop.
    RUNTIME.spawn(async move {
        while let Some(command) = commanded.recv().await {
            if let Command::Reload(Some(reply)) = command {
                let _gone = reply.send(Ok(Reloaded::default()));
            }
        }
    });
    let jail = AboutJail {
        name: "spam".to_owned(),
        scope: "tcp/25".to_owned(),
        logs: vec!["/var/log/mail.log".to_owned()],
    };
    Control {
        started: Timestamp::UNIX_EPOCH,
        metrics: Arc::new(Metrics::new(&["spam".to_owned()], &[], Arc::default())),
        about: About {
            configuration: "fuzz".to_owned(),
            jails: vec![jail],
            broken: Vec::new(),
        }
        .into(),
        commands,
        judge,
        wake: Box::new(move || {
            let asked = asks.lock().expect("nobody panics with it").try_recv();
            judge_it(asked.expect("whoever wakes has asked"));
        }),
    }
}

fn judge_it(ask: Ask) {
    match ask {
        Ask::Bans(query, reply) => {
            assert!(query.limit <= MOST, "{query:?}");
            let number = query.after.map_or(0, |(number, ..)| number);
            let subject = query
                .which
                .covering
                .unwrap_or_else(|| "192.0.2.7".parse().expect("an address"));
            let more = usize::try_from(number).is_ok_and(|number| number < PAGES) && query.limit > 0;
            let next = more.then_some((number + 1, subject, blocker::ban::JailId(0)));
            let bans = vec![ban(&subject.to_string()); query.limit.min(2)];
            let _gone = reply.send(Page { bans, next });
        }
        Ask::Ban(newly, reply) => {
            let network = newly.subject.network();
            let shortest = if network.addr().is_ipv4() { 8 } else { 16 };
            assert!(network.prefix_len() >= shortest, "{newly:?}");
            let is_length = |length: SignedDuration| length > SignedDuration::ZERO && length <= LONGEST;
            assert!(newly.length.is_none_or(is_length), "{newly:?}");
            let answer = match newly.jail.as_deref() {
                None | Some("spam") => Ok(vec![ban(&newly.subject.to_string())]),
                Some("full") => Err(Refusal::Full),
                Some("allowed") => Err(Refusal::Allowed(newly.subject)),
                Some(_) => Err(no_such(newly.jail)),
            };
            let _gone = reply.send(answer);
        }
        Ask::Search(..) => unreachable!("only the page searches"),
        Ask::Why(subject, reply) => {
            let _gone = reply.send(model::Why {
                address: subject.to_string(),
                bans: Vec::new(),
                allowed: None,
                jails: Vec::new(),
                past: Vec::new(),
                past_total: 0,
            });
        }
        Ask::Unban(which, reply) => {
            assert_ne!(which, Which::default(), "all bans are lifted by mistake");
            let known = which.jail.as_deref().is_none_or(|jail| jail == "spam");
            let _gone = reply.send(if known { Ok(1) } else { Err(no_such(which.jail)) });
        }
    }
}

fn no_such(name: Option<String>) -> Refusal {
    Refusal::NoSuchJail {
        name: name.unwrap_or_default(),
        jails: vec!["spam".to_owned()],
    }
}

fn ban(address: &str) -> model::Ban {
    model::Ban {
        address: address.to_owned(),
        jail: "spam".to_owned(),
        origin: "manual".to_owned(),
        since: Timestamp::UNIX_EPOCH,
        until: None,
        failures: 0,
        packets: Some(1),
        last_knock: None,
        enforced: true,
    }
}
