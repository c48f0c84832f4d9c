//! A digest as a mail that a postmaster reads.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use super::Digest;
use crate::config::MailAddress;
use crate::problem::printable;

/// Characters of a line: a line of a mail has at most 998 bytes (RFC 5322, 2.1.1), and a character may take four.
const LINE: usize = 240;

/// The whole mail, with its header; lines end in a line feed alone.
pub(super) fn mail(digest: &Digest, to: &[MailAddress]) -> String {
    let host = &digest.host;
    // One a line, so that none is too long.
    let to = to.iter().map(ToString::to_string).collect::<Vec<_>>().join(",\n ");
    let mut out = format!(
        "From: blocker <blocker@{host}>\nTo: {to}\nSubject: {}\n",
        line(&format!("blocker on {host}: {}", subject(digest)))
    );
    if let Ok(date) = rfc2822::to_string(&digest.until.to_zoned_datetime(TimeZone::system())) {
        let _ = writeln!(out, "Date: {date}");
    }
    let _ = writeln!(
        out,
        "Message-ID: <{}.{}@{host}>",
        digest.until.as_microsecond(),
        std::process::id()
    );
    // RFC 3834: nobody's holiday answers it.
    out.push_str("Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n");
    out + &body(digest)
}

/// What matters most, in a few words.
fn subject(digest: &Digest) -> String {
    let mut parts = vec![match digest.bans {
        1 => "1 ban".to_owned(),
        bans => format!("{bans} bans"),
    }];
    if digest.brake_engaged {
        parts.push("the brake holds".to_owned());
    }
    match digest.problems.len() {
        0 => {}
        1 => parts.push("1 problem".to_owned()),
        problems => parts.push(format!("{problems} problems")),
    }
    parts.join(", ")
}

fn body(digest: &Digest) -> String {
    let mut lines = vec![
        format!("From {} to {}:", minute(digest.from), minute(digest.until)),
        String::new(),
    ];
    lines.push(figure(digest.bans, "bans made"));
    if digest.held_back > 0 {
        lines.push(figure(digest.held_back, "bans held back by the brake"));
    }
    lines.push(figure(digest.dropped_packets, "packets dropped"));
    lines.push(figure(digest.in_force, "bans in force now"));
    if digest.dry_run {
        lines.push("This is a dry run: what would be dropped is counted, and nothing is dropped.".to_owned());
    }
    if digest.undelivered > 0 {
        lines.push(format!(
            "Digests before this one that did not arrive: {}.",
            digest.undelivered
        ));
    }
    section(
        &mut lines,
        "What is wrong now",
        digest.problems.iter().map(|problem| format!("- {problem}")),
    );
    let brake = match (digest.brake_changed, digest.brake_engaged) {
        (true, true) => Some("engaged: nobody new is banned"),
        (false, true) => Some("still engaged: nobody new is banned"),
        (true, false) => Some("released: bans are made again"),
        (false, false) if digest.held_back > 0 => Some("was engaged for a while, and is released"),
        (false, false) => None,
    };
    section(&mut lines, "Brake", brake.into_iter().map(str::to_owned));
    if !digest.jails.is_empty() {
        lines.push(String::new());
        lines.push(format!("{:>10} {:>10} {:>10}  jail", "bans", "held back", "failures"));
        for jail in &digest.jails {
            lines.push(format!(
                "{:>10} {:>10} {:>10}  {}",
                jail.bans, jail.held_back, jail.failures, jail.jail
            ));
        }
        if digest.jails_left_out > 0 {
            lines.push(format!("and {} jails more", digest.jails_left_out));
        }
    }
    if !digest.loudest.is_empty() {
        lines.push(String::new());
        lines.push(format!("{:>10}  the loudest of those who are banned", "packets"));
        for loud in &digest.loudest {
            lines.push(format!("{:>10}  {} ({})", loud.packets, loud.address, loud.jail));
        }
    }
    let fallback = if digest.fallback { ", the fallback" } else { "" };
    let enforced = (digest.enforced_ratio * 1000.0).floor() / 10.0;
    let firewall = [format!(
        "{}{fallback}; {enforced} % of what is banned is enforced",
        digest.firewall
    )];
    let interfaces = digest
        .interfaces
        .iter()
        .map(|one| format!("{}: {}", one.interface, one.mode));
    section(&mut lines, "Firewall", firewall.into_iter().chain(interfaces));
    lines.push(String::new());
    lines.push(
        "`blocker status` says more; docs/notifications.md says how to get this less often, or not at all.".to_owned(),
    );
    lines.iter().map(|text| line(text) + "\n").collect()
}

fn figure(number: u64, what: &str) -> String {
    format!("{number:>10}  {what}")
}

fn section(lines: &mut Vec<String>, heading: &str, content: impl Iterator<Item = String>) {
    let mut content = content.map(|text| format!("  {text}")).peekable();
    if content.peek().is_some() {
        lines.extend([String::new(), format!("{heading}:")]);
        lines.extend(content);
    }
}

fn minute(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// A text as one line, whatever is in it.
fn line(text: &str) -> String {
    let printable = printable(text);
    match printable.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &printable[..end]),
        None => printable,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Loud;
    use super::super::noted::tests::digest;
    use super::*;

    fn to(addresses: &[&str]) -> Vec<MailAddress> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn a_postmaster_reads_how_many_were_banned_by_which_jail_and_who_is_loudest() {
        let mut digest = digest();
        digest.brake_engaged = true;
        digest.brake_changed = true;
        digest.fallback = true;
        digest.firewall = "nftables".to_owned();
        digest.enforced_ratio = 0.9996;
        digest.problems = vec!["the kernel does not enforce all bans; the agent's log says why".to_owned()];
        digest.loudest = vec![Loud {
            address: "192.0.2.0/24".to_owned(),
            jail: "spam".to_owned(),
            packets: 90_210,
        }];
        let mail = mail(&digest, &to(&["postmaster@relay.example", "root"]));
        for part in [
            "\nTo: postmaster@relay.example,\n root\n",
            "\nSubject: blocker on relay.example: 3000 bans, the brake holds, 1 problem\n",
            "\nAuto-Submitted: auto-generated\n",
            "\n      3000  bans made\n",
            "\n     30000  packets dropped\n",
            "\n      3000          0      12000  spam\n",
            "\n     90210  192.0.2.0/24 (spam)\n",
            "\nBrake:\n  engaged: nobody new is banned\n",
            "\n  nftables, the fallback; 99.9 % of what is banned is enforced\n",
            "\n  - the kernel does not enforce all bans; the agent's log says why\n",
            "\nDigests before this one that did not arrive: 1.\n",
        ] {
            assert!(mail.contains(part), "{part:?} is not in:\n{mail}");
        }
        let (head, _) = mail.split_once("\n\n").unwrap();
        assert!(head.contains("\nDate: ") && head.contains("\nMessage-ID: <"), "{head}");
    }

    #[test]
    fn nothing_that_a_digest_names_begins_a_line_or_a_header_of_its_own() {
        let mut digest = digest();
        let hostile = "x\r\nBcc: everybody@example.net\r\n\r\n.\r\nRCPT TO:<b@example.net>\u{2028}\u{1b}[31m";
        digest.problems = vec![hostile.to_owned(), "y".repeat(5000), "é".repeat(5000)];
        digest.firewall = hostile.to_owned();
        digest.jails[0].jail = hostile.to_owned();
        digest.interfaces = vec![crate::api::model::Interface {
            interface: hostile.to_owned(),
            mode: hostile.to_owned(),
        }];
        digest.loudest = vec![Loud {
            address: hostile.to_owned(),
            jail: hostile.to_owned(),
            packets: 1,
        }];
        let mail = mail(&digest, &to(&["root"]));
        assert!(mail.lines().all(|line| line.len() < 998));
        assert!(!mail.contains(['\r', '\u{1b}', '\u{2028}']));
        for start in ["Bcc", ".", "RCPT"] {
            assert!(!mail.lines().any(|line| line.starts_with(start)), "{mail}");
        }
    }

    #[test]
    fn as_json_it_says_the_same_in_numbers() {
        let json = serde_json::to_value(digest()).unwrap();
        assert_eq!(json["host"], "relay.example");
        assert_eq!(
            (&json["bans"], &json["jails"][0]["jail"]),
            (&3000.into(), &"spam".into())
        );
        assert_eq!(
            (&json["from"], &json["until"]),
            (&"1970-01-01T00:00:00Z".into(), &"1970-01-01T01:00:00Z".into())
        );
    }
}
