//! What Postfix's mail log says, as far as the lab counts it.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Something that Postfix logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `connect from unknown[192.0.2.7]`
    Connect {
        /// Who connected.
        address: IpAddr,
    },
    /// `NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 …`
    Reject {
        /// Who was rejected.
        address: IpAddr,
        /// The reply from its code on, up to the first `;`.
        reply: String,
    },
    /// `to=<postmaster@relay.example>, …, status=sent (delivered to mailbox)`
    Sent {
        /// The recipient, as the sender named it.
        to: String,
    },
}

impl Event {
    /// Reads one line of the log; none when it is about something else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        // After the date and the host's name: `postfix/smtpd[6908]: …`
        let (head, message) = line.split_once("]: ")?;
        let (_, service) = head.split_once("postfix/")?;
        let service = service.split('[').next()?;
        if service == "smtpd" {
            return smtpd(message);
        }
        let (_, to) = message.split_once(": to=<")?;
        let (mut to, mut rest) = to.split_once(">, ")?;
        // Where an alias was followed, the sender's own word comes second.
        if let Some(original) = rest.strip_prefix("orig_to=<") {
            (to, rest) = original.split_once(">, ")?;
        }
        rest.contains("status=sent ").then(|| Self::Sent { to: to.to_owned() })
    }
}

fn smtpd(message: &str) -> Option<Event> {
    if let Some(client) = message.strip_prefix("connect from ") {
        let (address, _) = address(client)?;
        return Some(Event::Connect { address });
    }
    let (_, client) = message.strip_prefix("NOQUEUE: reject: ")?.split_once(" from ")?;
    let (address, rest) = address(client)?;
    let reply = rest.strip_prefix(": ")?.split(';').next()?;
    Some(Event::Reject {
        address,
        reply: reply.to_owned(),
    })
}

/// Splits `unknown[192.0.2.7]: …` into the address and what follows the bracket.
fn address(client: &str) -> Option<(IpAddr, &str)> {
    let (_, bracket) = client.split_once('[')?;
    let (address, rest) = bracket.split_once(']')?;
    Some((address.parse().ok()?, rest))
}

/// Reads a log while it grows, whole lines at a time.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    unfinished: Vec<u8>,
}

impl Reader {
    /// Opens the log at its beginning.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            file: File::open(path).with_context(|| path.display().to_string())?,
            unfinished: Vec::new(),
        })
    }

    /// The lines that were completed since the last call.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn lines(&mut self) -> Result<Vec<String>> {
        let read = self.file.read_to_end(&mut self.unfinished);
        read.with_context(|| self.path.display().to_string())?;
        let Some(end) = self.unfinished.iter().rposition(|&byte| byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.unfinished.split_off(end + 1);
        let whole = std::mem::replace(&mut self.unfinished, rest);
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn parse(message: &str) -> Option<Event> {
        Event::parse(&format!("Nov 23 23:29:09 relay postfix/{message}"))
    }

    #[test]
    fn a_connect() {
        let address = "2001:db8:0:bad::7".parse().unwrap();
        let line = "smtpd[6908]: connect from unknown[2001:db8:0:bad::7]";
        assert_eq!(parse(line), Some(Event::Connect { address }));
        assert_eq!(
            parse("smtpd[6908]: disconnect from unknown[192.0.2.7] quit=1 commands=1"),
            None
        );
        assert_eq!(
            parse("smtpd[6908]: lost connection after CONNECT from unknown[192.0.2.7]"),
            None
        );
    }

    #[test]
    fn a_reject() {
        let line = "smtpd[6908]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <a@domain1.com>: Relay access \
                    denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<spam.example>";
        let expected = Event::Reject {
            address: "192.0.2.7".parse().unwrap(),
            reply: "554 5.7.1 <a@domain1.com>: Relay access denied".to_owned(),
        };
        assert_eq!(parse(line), Some(expected));
    }

    #[test]
    fn a_delivery() {
        let line = "local[6913]: 3F4A2C0: to=<postmaster@relay.example>, relay=local, delay=0.01, dsn=2.0.0, status=sent \
                    (delivered to mailbox)";
        let to = "postmaster@relay.example".to_owned();
        assert_eq!(parse(line), Some(Event::Sent { to: to.clone() }));
        let alias = line.replace(
            "to=<postmaster@relay.example>",
            "to=<nobody@relay.example>, orig_to=<postmaster@relay.example>",
        );
        assert_eq!(parse(&alias), Some(Event::Sent { to }));
        assert_eq!(parse(&line.replace("status=sent", "status=deferred")), None);
    }

    #[test]
    fn what_a_client_says_does_not_count() {
        let line = "smtpd[6908]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <a@b>: Relay access denied; \
                    from=<x> to=<a@b> proto=ESMTP helo=<connect from unknown[192.0.2.9]>";
        let Some(Event::Reject { address, .. }) = parse(line) else {
            panic!("not a reject: {line}");
        };
        assert_eq!(address, "192.0.2.7".parse::<IpAddr>().unwrap());
        assert_eq!(parse("master[1]: daemon started -- version 3.7.11"), None);
    }

    #[test]
    fn lines_come_whole_and_once() {
        let path = std::env::temp_dir().join(format!("blocker-lab-{}-log", std::process::id()));
        let mut log = File::create(&path).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        assert!(reader.lines().unwrap().is_empty());
        write!(log, "one\ntw").unwrap();
        assert_eq!(reader.lines().unwrap(), ["one"]);
        assert!(reader.lines().unwrap().is_empty());
        write!(log, "o\nthree\n").unwrap();
        assert_eq!(reader.lines().unwrap(), ["two", "three"]);
        std::fs::remove_file(path).unwrap();
    }
}
