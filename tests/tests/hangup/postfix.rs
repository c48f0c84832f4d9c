//! A real Postfix with one process for SMTP: whoever holds it keeps everybody else waiting.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use blocker_lab::Lab;
use blocker_lab::network::{HONEST, SMTP, SPAMMERS};
use blocker_lab::postfix::{POSTMASTER, Postfix, Settings};
use blocker_lab::smtp::{Outcome, Timeouts, attempt, connect};
use blocker_tests::agent::{Agent, program};
use blocker_tests::relay::SPAM_FILTER;
use blocker_tests::{eventually, on_both_firewalls, require_root};

on_both_firewalls! {
    the_process_that_spoke_with_a_banned_host_is_free_for_the_next_at_once
}

/// One process, and no haste under stress: by itself it would wait for five minutes.
const ONE_PATIENT_PROCESS: &str = "default_process_limit = 1\nsmtpd_timeout = 300s\n";

fn the_process_that_spoke_with_a_banned_host_is_free_for_the_next_at_once(firewall: &str) {
    require_root();
    let lab = Lab::new().unwrap();
    let settings = Settings {
        main_cf: ONE_PATIENT_PROCESS.to_owned(),
        ..Settings::default()
    };
    let postfix = Postfix::start_with(&lab, &settings).unwrap();
    let mut agent = start(&lab, &postfix, firewall);

    let connect = || connect(SPAMMERS[0].into(), SMTP, Duration::from_secs(5)).unwrap();
    let spammer = lab.spam().enter(connect).unwrap();
    let mut spammer = be_rejected(spammer, 5);
    agent.says(&["INFO banned", "address=192.0.2.7 ", "failures=5"]);
    let banned = Instant::now();
    // He says good-bye, and Postfix does not hear it.
    let _ = spammer.get_mut().write_all(b"QUIT\r\n");
    let heard = spammer.read(&mut [0; 99]).unwrap_err();
    assert_eq!(heard.kind(), ErrorKind::ConnectionReset, "{heard}");

    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        reply: Duration::from_secs(5),
    };
    let send = || attempt(HONEST.into(), SMTP, "x@honest.example", POSTMASTER, timeouts);
    assert_eq!(lab.honest().enter(send).unwrap(), Outcome::Accepted);
    let took = banned.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    eventually("Postfix notes that he is gone", || {
        let log = fs::read_to_string(postfix.mail_log()).unwrap();
        log.contains("lost connection after RCPT from unknown[192.0.2.7]")
    });
}

/// The agent before this Postfix, with a jail that bans at the fifth reject.
fn start(lab: &Lab, postfix: &Postfix, firewall: &str) -> Agent {
    let config = lab.folder().join("config");
    fs::create_dir_all(config.join("filter.d")).unwrap();
    fs::write(config.join("filter.d/spam.conf"), SPAM_FILTER).unwrap();
    let jail = format!(
        "[spam]\nenabled = true\nfilter = spam\nport = smtp\nlogpath = {}\nbantime = 3600\nmaxretry = 5\n",
        postfix.mail_log().display()
    );
    fs::write(config.join("jail.conf"), jail).unwrap();
    let mut command = lab.relay().command(program());
    command.arg("run").arg("--config").arg(config);
    command.args(["--interface", "eth0", "--firewall", firewall]);
    command.arg("--state").arg(lab.folder().join("state"));
    let mut agent = Agent::start(command);
    agent.says(&[" ready "]);
    agent
}

/// Has Postfix reject so many recipients, all in one session, which stays open.
fn be_rejected(stream: TcpStream, recipients: usize) -> BufReader<TcpStream> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut session = BufReader::new(stream);
    let recipient = "RCPT TO:<a@domain1.com>";
    let words = ["HELO spam.example", "MAIL FROM:<x@y.example>"];
    let words = words.into_iter().chain(std::iter::repeat_n(recipient, recipients));
    reply(&mut session);
    for word in words {
        session.get_mut().write_all(format!("{word}\r\n").as_bytes()).unwrap();
        let code = reply(&mut session);
        assert_eq!(code.starts_with("554 5.7.1"), word == recipient, "{word}: {code}");
    }
    session
}

fn reply(session: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    session.read_line(&mut line).unwrap();
    line
}
