//! Where the agent gets its lines from: logs that are rotated under load, that appear later or hold anything, the systemd journal,
//! standard input. The agent is the real one, and so are journald and journalctl.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use blocker_lab::network::{SPAMMER_V6, SPAMMERS};
use blocker_lab::smtp::Reach;
use blocker_tests::agent::{Agent, program};
use blocker_tests::eventually;
use blocker_tests::journal::Journal;
use blocker_tests::relay::Relay;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

fn spammer() -> IpAddr {
    SPAMMERS[0].into()
}

/// The relay's jail with other keys laid over it.
fn configure(relay: &Relay, lines: &str) {
    fs::write(relay.config().join("jail.local"), format!("[spam]\n{lines}\n")).unwrap();
}

const FAILURES: &str = "blocker_failures_total{jail=\"spam\"}";

fn lag(source: impl std::fmt::Display) -> String {
    format!("blocker_log_lag_seconds{{source=\"{source}\"}}")
}

/// The value of a metric that is no whole number.
fn number(relay: &Relay, sample: &str) -> f64 {
    let text = relay.metrics();
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    values
        .next()
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {sample} in:\n{text}"))
}

/// What a rotation does to the log; the rotated file has this name.
type Rotation = fn(log: &Path, rotated: &Path);

fn rename(log: &Path, rotated: &Path) {
    fs::rename(log, rotated).unwrap();
}

fn copy_truncate(log: &Path, rotated: &Path) {
    fs::copy(log, rotated).unwrap();
    OpenOptions::new().write(true).truncate(true).open(log).unwrap();
}

fn nothing_is_lost_when_the_log_is_rotated_ten_times_a_second(rotate: Rotation) {
    const ROTATIONS: u64 = 40;
    const LINES: u64 = 50;
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    let start = Instant::now();
    for rotation in 0..ROTATIONS {
        for _ in 0..LINES / 2 {
            relay.reject(spammer(), 1);
        }
        rotate(
            &relay.log(),
            &relay.log().with_extension(format!("log.{}", ROTATIONS - rotation)),
        );
        for _ in 0..LINES / 2 {
            relay.reject(spammer(), 1);
        }
        let next = start + Duration::from_millis(100) * (u32::try_from(rotation).unwrap() + 1);
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
    eventually("every line is read", || relay.metric(FAILURES) >= ROTATIONS * LINES);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    // Whatever is read twice is read by now, since lines are read in order.
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    assert_eq!(relay.metric(FAILURES), ROTATIONS * LINES + 2, "no line is read twice");
    let took = start.elapsed();
    println!(
        "{ROTATIONS} rotations; {} lines, each read once, in {took:.1?}",
        ROTATIONS * LINES
    );
    eventually("nothing is left to read", || {
        number(&relay, &lag(relay.log().display())) == 0.0
    });
}

#[test]
fn nothing_is_lost_when_the_log_is_renamed_ten_times_a_second() {
    nothing_is_lost_when_the_log_is_rotated_ten_times_a_second(rename);
}

#[test]
fn nothing_is_lost_when_the_log_is_copied_and_truncated_ten_times_a_second() {
    nothing_is_lost_when_the_log_is_rotated_ten_times_a_second(copy_truncate);
}

#[test]
fn a_log_may_hold_anything() {
    let relay = Relay::new("3600");
    fs::copy("/bin/sh", relay.log()).unwrap();
    relay.write("\n");
    let mut agent = relay.start("nftables");
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    let mut log = OpenOptions::new().append(true).open(relay.log()).unwrap();
    log.write_all(&[0; 300_000]).unwrap();
    log.write_all(b"\n\xff\xfe\xc3\n\r\n").unwrap();
    log.write_all(&fs::read("/bin/sh").unwrap()).unwrap();
    relay.write("\n");
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    let cut = format!("blocker_log_lines_cut_total{{source=\"{}\"}}", relay.log().display());
    let cut = relay.metric(&cut);
    assert!(cut >= 1);
    let bytes = fs::metadata(relay.log()).unwrap().len();
    println!(
        "a log of {bytes} bytes, nearly all of a program: {cut} lines cut, 4 lines of Postfix found, {} KiB in memory",
        agent.resident_kib()
    );
    assert!(!agent.said().iter().any(|line| line.contains("panicked")));
}

#[test]
fn logs_and_folders_that_appear_later_are_read() {
    let relay = Relay::new("3600");
    let later = relay.lab.folder().join("later");
    let there = relay.lab.folder().join("there.log");
    fs::write(&there, "").unwrap();
    configure(
        &relay,
        &format!(
            "logpath = {} {later}/today/mail.log {later}/hosts/*/mail.log",
            there.display(),
            later = later.display()
        ),
    );
    let mut agent = Agent::start(relay.command("nftables"));
    agent.says(&["WARN", "does not exist yet", "today/mail.log"]);
    agent.says(&[" ready "]);
    for (host, folder, told) in [
        (spammer(), "today", "192.0.2.7"),
        (SPAMMERS[1].into(), "hosts/relay1", "192.0.2.8"),
        (SPAMMER_V6.into(), "hosts/relay2", "2001:db8:0:bad::/64"),
    ] {
        relay.reject(host, 2);
        let folder = later.join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::rename(relay.log(), folder.join("mail.log")).unwrap();
        agent.says(&["INFO banned", &format!("address={told} "), "failures=2"]);
    }
}

#[test]
fn a_log_that_vanishes_is_told_of_once_and_measured_until_it_is_back() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    fs::remove_file(relay.log()).unwrap();
    agent.says(&["WARN the log has vanished", "mail.log"]);
    let lag = lag(relay.log().display());
    eventually("the lag is how long it is away", || number(&relay, &lag) >= 4.0);
    let first = number(&relay, &lag);
    eventually("the lag grows", || number(&relay, &lag) > first);
    relay.reject(spammer(), 2);
    agent.says_each(&[&["INFO the log is there again"], &["INFO banned", "address=192.0.2.7 "]]);
    eventually("all is read", || number(&relay, &lag) == 0.0);
    let told = agent.said().iter().filter(|line| line.contains("vanished")).count();
    assert_eq!(told, 1);
}

const REJECT: &str = "NOQUEUE: reject: RCPT from unknown[ADDRESS]: 554 5.7.1 <a@domain1.com>: Relay access denied; from=<x@y.example> \
                      to=<a@domain1.com> proto=ESMTP helo=<spam.example>";

fn reject(journal: &Journal, host: &str) {
    for _ in 0..2 {
        journal.write("postfix/smtpd", REJECT.replace("ADDRESS", host).as_bytes());
    }
}

#[test]
fn the_journal_is_read_and_goes_on_after_journalctl_was_killed() {
    let relay = Relay::new("3600");
    let journal = Journal::start(&relay);
    reject(&journal, "192.0.2.7");
    configure(
        &relay,
        &format!(
            "backend = systemd[journalpath={}]\njournalmatch = SYSLOG_FACILITY=2",
            journal.files().display()
        ),
    );
    let mut agent = Agent::start(relay.command("nftables"));
    agent.says_each(&[&[" ready "], &["INFO banned", "address=192.0.2.7 ", "failures=2"]]);
    let source = format!("journal {} SYSLOG_FACILITY=2", journal.files().display());
    for (host, also) in [("192.0.2.8", &b""[..]), ("192.0.2.9", b"\0\xff not text\n")] {
        let [child] = agent.children("journalctl")[..] else {
            panic!("one child");
        };
        kill(Pid::from_raw(child.try_into().unwrap()), Signal::SIGKILL).unwrap();
        let said = agent.says(&["WARN journalctl has ended", "SYSLOG_FACILITY=2"]);
        assert!(said.contains("signal: 9"), "{said}");
        journal.write("postfix/smtpd", also);
        reject(&journal, host);
        let host = format!("address={host} ");
        agent.says_each(&[&["INFO journalctl goes on"], &["INFO banned", &host, "failures=2"]]);
    }
    assert_eq!(relay.metric(FAILURES), 6, "what was read before is not read again");
    eventually("all is read", || number(&relay, &lag(&source)) == 0.0);

    // The child ends with an agent that could not end it.
    let [child] = agent.children("journalctl")[..] else {
        panic!("one child");
    };
    agent.signal(Signal::SIGKILL);
    agent.ends();
    reject(&journal, "192.0.2.7");
    eventually("journalctl ends", || !Path::new(&format!("/proc/{child}")).exists());
}

#[test]
fn without_any_configuration_and_without_a_mail_log_the_journal_is_read() {
    let relay = Relay::new("3600");
    let journal = Journal::start(&relay);
    reject(&journal, "192.0.2.7");
    eventually("the journal is there", || {
        let machines = fs::read_dir(journal.files()).unwrap();
        machines
            .flatten()
            .any(|machine| machine.path().join("system.journal").exists())
    });
    // In a mount namespace of its own, the machine has the lab's journal, no logs and no configuration.
    let script = "mkdir -p /run/log && mount --bind \"$1/journal/log\" /run/log && mount -t tmpfs none /var/log && \
                  { [ ! -e /etc/blocker ] || mount -t tmpfs none /etc/blocker; } && exec \"$0\" run --interface eth0 --state \"$2\"";
    let mut command = relay.lab.relay().command("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .args([program(), relay.lab.folder().to_owned(), relay.state()]);
    let mut agent = Agent::start(command);
    agent.says_each(&[
        &[" ready ", "compiled-in configuration"],
        &["INFO banned", "jail=postfix-spam", "address=192.0.2.7 "],
    ]);
    assert_eq!(agent.children("journalctl").len(), 1, "one child for all jails");
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
}

#[test]
fn standard_input_is_read_until_it_ends() {
    let relay = Relay::new("3600");
    configure(&relay, "logpath = -");
    let pipe = relay.lab.folder().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let mut command = relay.lab.relay().command("sh");
    command.args(["-c", "exec \"$@\" < \"$0\""]).arg(&pipe);
    let agent = relay.command("nftables");
    command.arg(program()).args(agent.get_args());
    let mut agent = Agent::start(command);
    // Opened for both, a pipe waits for nobody.
    let mut input: File = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_CLOEXEC.bits())
        .open(&pipe)
        .unwrap();
    agent.says(&[" ready "]);
    relay.reject(spammer(), 2);
    input.write_all(&fs::read(relay.log()).unwrap()).unwrap();
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    drop(input);
    agent.says(&["INFO has ended", "standard input"]);
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    assert!(agent.stop().0.success());
}
