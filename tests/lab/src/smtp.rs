//! A mail client that says what became of it. Everything it does is bounded in time.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// How long to wait for the other side.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the connection to come about.
    pub connect: Duration,
    /// For each reply after that.
    pub reply: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            reply: Duration::from_secs(5),
        }
    }
}

/// What became of an attempt to send mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server refused the mail or the recipient, with this code.
    Rejected(u16),
    /// The server took the mail.
    Accepted,
    /// Nobody answered when we tried to connect.
    NoAnswer,
    /// The connection was refused: somebody is there, but no mail server.
    Refused,
    /// Something else went wrong, in words.
    Error(String),
}

/// What became of an attempt to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Connected.
    Open,
    /// Nobody answered.
    NoAnswer,
    /// Refused: somebody is there, but nothing listens.
    Refused,
    /// Something else went wrong, in words.
    Error(String),
}

/// Sends one mail from the given address of this host and reports what became of it.
#[must_use]
pub fn attempt(source: IpAddr, relay: SocketAddr, mail_from: &str, rcpt_to: &str, timeouts: Timeouts) -> Outcome {
    attempt_from_afar(source, relay, (mail_from, rcpt_to), timeouts, Duration::ZERO)
}

/// As [`attempt`], by a client that is so far away: this passes between each reply and what it says to it.
#[must_use]
pub fn attempt_from_afar(
    source: IpAddr,
    relay: SocketAddr,
    (mail_from, rcpt_to): (&str, &str),
    timeouts: Timeouts,
    away: Duration,
) -> Outcome {
    let stream = match connect(source, relay, timeouts.connect) {
        Ok(stream) => stream,
        Err(error) => {
            return match reach(&error) {
                Reach::NoAnswer => Outcome::NoAnswer,
                Reach::Refused => Outcome::Refused,
                Reach::Open | Reach::Error(_) => Outcome::Error(format!("connecting: {error}")),
            };
        }
    };
    deliver(stream, (mail_from, rcpt_to), timeouts.reply, away)
        .unwrap_or_else(|error| Outcome::Error(error.to_string()))
}

/// Tries to connect from the given address of this host, and hangs up again.
#[must_use]
pub fn probe(source: IpAddr, to: SocketAddr, timeout: Duration) -> Reach {
    match connect(source, to, timeout) {
        Ok(_) => Reach::Open,
        Err(error) => reach(&error),
    }
}

/// Connects from the given address of this host.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] when nobody answers in time, and whatever else the kernel says.
pub fn connect(source: IpAddr, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&to.into(), timeout)?;
    Ok(socket.into())
}

fn reach(error: &io::Error) -> Reach {
    match error.kind() {
        io::ErrorKind::TimedOut => Reach::NoAnswer,
        io::ErrorKind::ConnectionRefused => Reach::Refused,
        _ => Reach::Error(error.to_string()),
    }
}

fn deliver(
    stream: TcpStream,
    (mail_from, rcpt_to): (&str, &str),
    reply: Duration,
    away: Duration,
) -> io::Result<Outcome> {
    stream.set_read_timeout(Some(reply))?;
    stream.set_write_timeout(Some(reply))?;
    let mut dialogue = Dialogue {
        stream: BufReader::new(stream),
        away,
    };
    let outcome = dialogue.mail(mail_from, rcpt_to)?;
    // The mail's fate is known by now; a server that hangs up first does no harm.
    let _hung_up = dialogue.say("QUIT");
    Ok(outcome)
}

struct Dialogue {
    stream: BufReader<TcpStream>,
    away: Duration,
}

impl Dialogue {
    fn mail(&mut self, mail_from: &str, rcpt_to: &str) -> io::Result<Outcome> {
        let greeting = self.reply()?;
        if greeting >= 400 {
            return Ok(Outcome::Rejected(greeting));
        }
        let domain = mail_from.rsplit('@').next().unwrap_or("client.example");
        let words = [
            format!("EHLO {domain}"),
            format!("MAIL FROM:<{mail_from}>"),
            format!("RCPT TO:<{rcpt_to}>"),
            "DATA".to_owned(),
            format!("From: <{mail_from}>\r\nTo: <{rcpt_to}>\r\nSubject: hello\r\n\r\nHello.\r\n."),
        ];
        for line in &words {
            let code = self.say(line)?;
            if code >= 400 {
                return Ok(Outcome::Rejected(code));
            }
        }
        Ok(Outcome::Accepted)
    }

    fn say(&mut self, line: &str) -> io::Result<u16> {
        std::thread::sleep(self.away);
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Reads a reply, of which all lines but the last have a hyphen after the code.
    fn reply(&mut self) -> io::Result<u16> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
            }
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| io::Error::other(format!("not an SMTP reply: {}", line.trim_end())))?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A server that answers each line it is sent with the next of these, and returns what it was sent.
    fn server(replies: &'static [&'static str]) -> (SocketAddr, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            let mut reader = BufReader::new(stream);
            for reply in replies {
                reader.get_mut().write_all(reply.as_bytes()).unwrap();
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                heard.push(line.trim_end().to_owned());
            }
            heard
        });
        (address, thread)
    }

    #[test]
    fn a_rejected_recipient_is_told_with_its_code() {
        let replies = &["220 hi\r\n", "250-one\r\n250 two\r\n", "250 ok\r\n", "554 5.7.1 no\r\n"];
        let (address, thread) = server(replies);
        let outcome = attempt(LOCALHOST, address, "x@y.example", "a@domain1.com", Timeouts::default());
        assert_eq!(outcome, Outcome::Rejected(554));
        let heard = thread.join().unwrap();
        assert_eq!(
            heard,
            [
                "EHLO y.example",
                "MAIL FROM:<x@y.example>",
                "RCPT TO:<a@domain1.com>",
                "QUIT"
            ]
        );
    }

    #[test]
    fn a_closed_port_refuses() {
        let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(probe(LOCALHOST, address, Duration::from_secs(1)), Reach::Refused);
        assert_eq!(
            attempt(LOCALHOST, address, "x@y", "a@b", Timeouts::default()),
            Outcome::Refused
        );
    }
}
