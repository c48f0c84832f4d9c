//! Notifications: a real agent tells a program like sendmail, an SMTP server and a webhook what has happened, and waits for none of them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use blocker_lab::network::SPAMMERS;
use blocker_tests::relay::Relay;
use blocker_tests::{DEADLINE, eventually};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Hosts that are banned at once.
const MANY: u32 = 3000;
/// What an attacker would like to have in a mail.
const FORGED: &str = "x>\r\nBcc: everybody@example.net\r\n\r\n.\r\nDATA";

fn banned(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n))
}

fn configure(relay: &Relay, digest: &str) {
    let text = format!("[brake]\nmax_bans_per_minute = 100000\nmax_share = 1.0\n[digest]\nevery = \"1s\"\n{digest}");
    fs::write(relay.config().join("blocker.toml"), text).unwrap();
}

/// A stand-in for sendmail that does this.
fn program(relay: &Relay, does: &str) -> PathBuf {
    let path = relay.lab.folder().join("sendmail");
    fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// One that keeps what it gets, each mail whole; gives the folder of the mails too.
fn keeping(relay: &Relay) -> (PathBuf, PathBuf) {
    let mails = relay.lab.folder().join("mails");
    fs::create_dir(&mails).unwrap();
    let folder = mails.display();
    let does = format!("echo \"$*\" > {folder}/.$$; cat >> {folder}/.$$; mv {folder}/.$$ {folder}/$$");
    (program(relay, &does), mails)
}

fn mails(folder: &PathBuf) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let whole = files.filter(|file| !file.file_name().to_string_lossy().starts_with('.'));
    whole.map(|file| fs::read_to_string(file.path()).unwrap()).collect()
}

fn bans_of(mail: &str) -> u64 {
    let line = mail.lines().find_map(|line| line.strip_suffix("  bans made"));
    line.unwrap_or_else(|| panic!("{mail}")).trim().parse().unwrap()
}

/// A web server on the relay that takes whatever is posted.
fn webhook(relay: &Relay) -> Receiver<Value> {
    let listener = relay
        .lab
        .relay()
        .enter(|| TcpListener::bind("127.0.0.1:8080"))
        .unwrap()
        .unwrap();
    let (send, posted) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            let mut head = String::new();
            while reader.read_line(&mut head).unwrap() > 2 {
                if let Some(value) = head.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            if send.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    posted
}

/// A mail server on the relay that takes one mail, and gives what it was told.
fn smtp_server(relay: &Relay) -> Receiver<String> {
    let listener = relay
        .lab
        .relay()
        .enter(|| TcpListener::bind("127.0.0.1:2525"))
        .unwrap()
        .unwrap();
    let (send, told) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let mut said = String::new();
        let mut is_mail = false;
        reader.get_mut().write_all(b"220-relay\r\n220 ESMTP\r\n").unwrap();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            said += &line;
            if line.is_empty() {
                break;
            }
            let reply = match line.as_str() {
                ".\r\n" => "250 queued\r\n",
                _ if is_mail => continue,
                "DATA\r\n" => "354 go on\r\n",
                "QUIT\r\n" => "221 goodbye\r\n",
                _ => "250 ok\r\n",
            };
            is_mail = line == "DATA\r\n";
            reader.get_mut().write_all(reply.as_bytes()).unwrap();
        }
        let _ = send.send(said);
    });
    told
}

#[test]
fn thousands_of_bans_come_to_a_message_or_two_and_what_attackers_log_forges_nothing() {
    let relay = Relay::new("3600");
    let (sendmail, folder) = keeping(&relay);
    let posted = webhook(&relay);
    configure(
        &relay,
        &format!(
            "mail_to = [\"postmaster@relay.example\"]\nmail_by = \"{}\"\nwebhook = \"http://127.0.0.1:8080/digest?a=b\"\n",
            sendmail.display()
        ),
    );
    let mut agent = relay.start("nftables");
    let now = jiff::Timestamp::now();
    let line = |n: u32| {
        format!(
            "{now:.6} relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[{}]: 554 5.7.1 <a@domain1.com>: Relay access denied; \
             from=<{FORGED}> to=<a@domain1.com> proto=ESMTP helo=<{FORGED}>\n",
            banned(n)
        )
        .repeat(2)
    };
    let begin = Instant::now();
    relay.write(&(1..=MANY).map(line).collect::<String>());
    let mut bodies: Vec<Value> = Vec::new();
    while bodies.iter().map(|body| body["bans"].as_u64().unwrap()).sum::<u64>() < u64::from(MANY) {
        bodies.push(posted.recv_timeout(DEADLINE).unwrap());
    }
    eventually("all bans are in mails", || {
        mails(&folder).iter().map(|mail| bans_of(mail)).sum::<u64>() == u64::from(MANY)
    });
    let mails = mails(&folder);
    println!("{MANY} bans came to {} mails and {} posts", mails.len(), bodies.len());
    // One a second, with what has come together until then.
    let most = begin.elapsed().as_secs() as usize + 5;
    assert!(
        mails.len() < most && bodies.len() < most,
        "{} mails, {} posts",
        mails.len(),
        bodies.len()
    );
    for mail in &mails {
        assert!(mail.starts_with("-i -t\nFrom: blocker <blocker@"), "{mail}");
        assert!(
            mail.contains("\nTo: postmaster@relay.example\n") && mail.contains("  spam\n"),
            "{mail}"
        );
        assert!(!mail.contains("everybody") && !mail.contains('\r'), "{mail}");
    }
    let last = bodies.last().unwrap();
    assert_eq!(
        (&last["in_force"], &last["jails"][0]["jail"]),
        (&MANY.into(), &"spam".into())
    );
    let (status, _) = agent.stop();
    assert!(status.success());
}

#[test]
fn a_program_that_hangs_and_a_server_that_never_answers_delay_neither_a_ban_nor_the_stop() {
    let relay = Relay::new("3600");
    let sendmail = program(&relay, "sleep 1000 & exec sleep 1000");
    // On port 25 of this relay somebody listens, and accepts nobody.
    configure(
        &relay,
        &format!(
            "mail_to = [\"root\"]\nmail_by = \"{}\"\nwebhook = \"http://127.0.0.1:25\"\n",
            sendmail.display()
        ),
    );
    let mut agent = relay.start("nftables");
    relay.reject(SPAMMERS[0].into(), 2);
    agent.says(&["INFO banned"]);
    eventually("the program runs", || !agent.children("sleep").is_empty());
    let first = agent.children("sleep");
    let begin = Instant::now();
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned"]);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    for _ in 0..2 {
        agent.says(&["WARN", "a digest was not delivered", "has not taken it within 5 s"]);
    }
    assert!(relay.metric("blocker_digest_errors_total") >= 2);
    eventually("the program is ended and reaped", || {
        first.iter().all(|pid| !PathBuf::from(format!("/proc/{pid}")).exists())
    });
    eventually("it runs again", || !agent.children("sleep").is_empty());
    let second = agent.children("sleep");
    let begin = Instant::now();
    let (status, _) = agent.stop();
    assert!(
        status.success() && begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    eventually("nothing of the program is left", || {
        second.iter().all(|pid| {
            // Who takes over the agent's children may be slow to reap them.
            let status = fs::read_to_string(format!("/proc/{pid}/status"));
            status.map_or(true, |status| status.contains("State:\tZ"))
        })
    });
}

#[test]
fn what_one_did_not_take_comes_by_the_way_that_a_reload_names() {
    let relay = Relay::new("3600");
    let sendmail = program(&relay, "echo 'no queue here' >&2; exit 75");
    configure(
        &relay,
        &format!("mail_to = [\"root\"]\nmail_by = \"{}\"\n", sendmail.display()),
    );
    let mut agent = relay.start("nftables");
    relay.reject(SPAMMERS[0].into(), 2);
    agent.says(&["WARN", "a digest was not delivered", "exit status: 75", "no queue here"]);
    let told = smtp_server(&relay);
    configure(
        &relay,
        "mail_to = [\"root\", \"postmaster@relay.example\"]\nmail_by = \"127.0.0.1:2525\"\n",
    );
    agent.signal(Signal::SIGHUP);
    agent.says(&["the configuration was read anew"]);
    let said = told.recv_timeout(DEADLINE).unwrap();
    for part in [
        "MAIL FROM:<>\r\nRCPT TO:<root>\r\nRCPT TO:<postmaster@relay.example>\r\nDATA\r\n",
        ": 1 ban\r\n",
        "\r\n         1  bans made\r\n",
        "that did not arrive: ",
        "\r\n.\r\nQUIT\r\n",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}
