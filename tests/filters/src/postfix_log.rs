//! A Postfix log as a relay under spam writes it, the same for the same numbers.
//!
//! Sessions of honest and of abusive clients side by side; a quarter of the lines are failures. Nothing in it comes from anybody's
//! log: shapes are Postfix's own messages, hosts are from 198.18.0.0/15, which RFC 2544 sets aside for benchmarks.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

/// Hosts that fail.
const ABUSIVE: u32 = 5_000;
/// Hosts that do not.
const HONEST: u32 = 2_000;

/// A log that is being written.
#[derive(Debug)]
pub struct PostfixLog {
    random: fastrand::Rng,
    time: Timestamp,
    /// Between two lines.
    step: SignedDuration,
    /// Lines so far.
    pub lines: usize,
    /// Those of them that the filter `postfix[mode=aggressive]` counts.
    pub failures: usize,
    /// Those of them that `postfix[mode=auth]` counts.
    pub guesses: usize,
    /// Those of them that `postfix[mode=rbl]` counts.
    pub blocked: usize,
}

impl PostfixLog {
    /// A log that ends about now, after so many lines that are spread over an hour.
    #[must_use]
    pub fn of_the_last_hour(lines: usize) -> Self {
        let hour = SignedDuration::from_hours(1);
        let nanoseconds = hour.as_nanos() / lines.max(1) as i128;
        Self {
            random: fastrand::Rng::with_seed(25),
            time: Timestamp::now() - hour,
            step: SignedDuration::from_nanos_i128(nanoseconds),
            lines: 0,
            failures: 0,
            guesses: 0,
            blocked: 0,
        }
    }

    /// The next so many lines.
    pub fn write(&mut self, lines: usize) -> String {
        let mut text = String::with_capacity(lines * 160);
        let end = self.lines + lines;
        while self.lines < end {
            // One of four lines is a failure: of each abusive session two of four, of honest ones none of seven.
            if self.failures * 4 <= self.lines {
                self.abusive(&mut text, end);
            } else {
                self.honest(&mut text, end);
            }
        }
        text
    }

    /// Knocks, is turned away, and leaves.
    fn abusive(&mut self, text: &mut String, end: usize) {
        let host = host(self.random.u32(..ABUSIVE));
        let process = self.random.u32(1_000..30_000);
        let user = self.random.u32(..100_000);
        let client = format!("unknown[{host}]");
        let (failure, left) = match self.random.u32(..20) {
            0..6 => (
                format!(
                    "NOQUEUE: reject: RCPT from {client}: 554 5.7.1 <user{user}@elsewhere.example>: Relay access denied; \
                     from=<news{user}@spam.example> to=<user{user}@elsewhere.example> proto=ESMTP helo=<host{user}.spam.example>"
                ),
                "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
            ),
            6..11 => (
                format!(
                    "NOQUEUE: reject: RCPT from {client}: 550 5.1.1 <user{user}@relay.example>: Recipient address rejected: User \
                     unknown in virtual mailbox table; from=<news{user}@spam.example> to=<user{user}@relay.example> proto=ESMTP \
                     helo=<host{user}.spam.example>"
                ),
                "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
            ),
            11..16 => (
                format!(
                    "NOQUEUE: reject: RCPT from {client}: 554 5.7.1 Service unavailable; Client host [{host}] blocked using \
                     dnsbl.example; https://dnsbl.example/query/ip/{host}; from=<news{user}@spam.example> \
                     to=<user{user}@relay.example> proto=ESMTP helo=<host{user}.spam.example>"
                ),
                "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
            ),
            16..19 => (
                format!("warning: {client}: SASL LOGIN authentication failed: UGFzc3dvcmQ6"),
                "ehlo=1 auth=0/1 quit=1 commands=2/3",
            ),
            _ => (format!("lost connection after AUTH from {client}"), "ehlo=1 commands=1"),
        };
        self.line(text, end, "smtpd", process, &format!("connect from {client}"));
        if self.line(text, end, "smtpd", process, &failure) {
            self.failures += 1;
            self.guesses += usize::from(failure.contains("SASL"));
            self.blocked += usize::from(failure.contains("blocked using"));
        }
        let left = format!("disconnect from {client} {left}");
        if self.line(text, end, "smtpd", process, &left) && left.contains("auth=0/") {
            self.failures += 1;
        }
    }

    /// Delivers a mail.
    fn honest(&mut self, text: &mut String, end: usize) {
        let number = self.random.u32(..HONEST);
        let process = self.random.u32(1_000..30_000);
        let id = self.random.u64(..) >> 16;
        let client = format!("mail{number}.example.net[{}]", host(ABUSIVE + number));
        let size = self.random.u32(2_000..90_000);
        let all = [
            ("smtpd", format!("connect from {client}")),
            ("smtpd", format!("{id:X}: client={client}")),
            (
                "cleanup",
                format!("{id:X}: message-id=<{id:x}.{number}@mail{number}.example.net>"),
            ),
            (
                "qmgr",
                format!("{id:X}: from=<user{number}@mail{number}.example.net>, size={size}, nrcpt=1 (queue active)"),
            ),
            (
                "smtpd",
                format!("disconnect from {client} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"),
            ),
            (
                "lmtp",
                format!(
                    "{id:X}: to=<box{number}@relay.example>, relay=relay.example[private/dovecot-lmtp], delay=0.31, \
                     delays=0.25/0.01/0.01/0.04, dsn=2.0.0, status=sent (250 2.0.0 <box{number}@relay.example> Saved)"
                ),
            ),
            ("qmgr", format!("{id:X}: removed")),
        ];
        for (service, message) in all {
            self.line(text, end, service, process, &message);
        }
    }

    /// Adds a line, unless there are as many as there are to be.
    fn line(&mut self, text: &mut String, end: usize, service: &str, process: u32, message: &str) -> bool {
        if self.lines == end {
            return false;
        }
        let time = self.time;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{} relay postfix/{service}[{process}]: {message}",
            time.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00")
        );
        self.time += self.step;
        self.lines += 1;
        true
    }
}

fn host(number: u32) -> Ipv4Addr {
    // Neighbours do not lie beside each other.
    let place = number.wrapping_mul(40_503) % 0x2_0000;
    Ipv4Addr::from(0xC612_0000 + place)
}
