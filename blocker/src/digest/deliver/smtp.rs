//! A mail by SMTP to a server nearby (RFC 5321): no more of it than to hand over one mail.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::MailAddress;

/// Bytes of a line of a reply, and lines of one.
const REPLY: (u64, usize) = (1024, 64);

/// How long the answer to the goodbye is waited for.
const GOODBYE: Duration = Duration::from_secs(5);

/// Hands a mail over; its lines end in a line feed alone.
pub(super) async fn deliver(server: SocketAddr, host: &str, to: &[MailAddress], mail: &str) -> Result<()> {
    let stream = TcpStream::connect(server).await.context("cannot be connected to")?;
    let mut server = Server(BufReader::new(stream));
    let taken = server.takes_mail(host, to, mail).await;
    // The mail is there or is not, whatever becomes of the goodbye: nobody waits for it.
    tokio::spawn(timeout(GOODBYE, async move { server.takes("QUIT", '2').await }));
    taken
}

struct Server(BufReader<TcpStream>);

impl Server {
    async fn takes_mail(&mut self, host: &str, to: &[MailAddress], mail: &str) -> Result<()> {
        self.replies('2', "the connection").await?;
        self.takes(&format!("EHLO {host}"), '2').await?;
        // Nobody is to be told that it did not arrive: that would be one mail more.
        self.takes("MAIL FROM:<>", '2').await?;
        let mut refused = None;
        let mut taken = 0;
        for to in to {
            match self.takes(&format!("RCPT TO:<{to}>"), '2').await {
                Ok(()) => taken += 1,
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "one of those to whom digests go is refused"
                    );
                    refused = Some(error);
                }
            }
        }
        // Who is refused keeps the others from nothing.
        if let Some(error) = refused.filter(|_| taken == 0) {
            return Err(error);
        }
        self.takes("DATA", '3').await?;
        self.0.write_all(on_the_wire(mail).as_bytes()).await?;
        self.replies('2', "the mail").await
    }

    /// Says something, and goes on if the reply begins with this digit.
    async fn takes(&mut self, command: &str, digit: char) -> Result<()> {
        self.0.write_all(format!("{command}\r\n").as_bytes()).await?;
        self.replies(digit, command).await
    }

    async fn replies(&mut self, digit: char, to: &str) -> Result<()> {
        for _ in 0..REPLY.1 {
            let mut line = Vec::new();
            (&mut self.0).take(REPLY.0).read_until(b'\n', &mut line).await?;
            if line.last() != Some(&b'\n') {
                bail!("the server broke off after {to}");
            }
            // All but the last line of a reply have this behind the number.
            if line.get(3) == Some(&b'-') {
                continue;
            }
            let line = String::from_utf8_lossy(&line);
            if line.starts_with(digit) {
                return Ok(());
            }
            bail!("the server answers to {to}: {}", line.trim_end());
        }
        bail!("the server does not end its answer to {to}")
    }
}

/// The mail as it is sent, with its end: a dot at the beginning of a line is doubled.
fn on_the_wire(mail: &str) -> String {
    let mut wire = String::with_capacity(mail.len() + mail.len() / 16);
    for line in mail.lines() {
        if line.starts_with('.') {
            wire.push('.');
        }
        wire.push_str(line);
        wire.push_str("\r\n");
    }
    wire + ".\r\n"
}

#[cfg(test)]
mod tests {
    use tokio::io::Lines;
    use tokio::net::TcpListener;

    use super::*;

    /// Talks with a client up to its goodbye, answering the end of the mail so; what it says is to be a dialogue in order.
    async fn talk(listener: TcpListener, to_mail: &str) -> Lines<BufReader<TcpStream>> {
        let mut client = BufReader::new(listener.accept().await.unwrap().0).lines();
        let say = async |client: &mut Lines<BufReader<TcpStream>>, reply: &str| {
            client.get_mut().write_all(reply.as_bytes()).await.unwrap();
        };
        say(&mut client, "220 here\r\n").await;
        for (said, reply) in [
            ("EHLO relay.example", "250-here\r\n250 8BITMIME\r\n"),
            ("MAIL FROM:<>", "250 ok\r\n"),
            ("DATA", "354 go on\r\n"),
            ("bans", ""),
            (".", to_mail),
        ] {
            assert_eq!(client.next_line().await.unwrap().as_deref(), Some(said));
            say(&mut client, reply).await;
        }
        assert_eq!(client.next_line().await.unwrap().as_deref(), Some("QUIT"));
        client
    }

    /// Delivers to a server that answers the end of the mail so, and gives what came of it and the server's end of the connection.
    async fn deliver_to(to_mail: &str) -> (Result<()>, Lines<BufReader<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        tokio::join!(deliver(server, "relay.example", &[], "bans\n"), talk(listener, to_mail))
    }

    #[tokio::test]
    async fn a_mail_that_was_taken_is_delivered_before_the_goodbye_is_answered_and_the_answer_is_awaited() {
        let (delivered, mut client) = deliver_to("250 queued\r\n").await;
        delivered.unwrap();
        let early = timeout(Duration::from_millis(50), client.next_line()).await;
        assert!(early.is_err(), "it hangs up before the answer: {early:?}");
        client.get_mut().write_all(b"221 bye\r\n").await.unwrap();
        assert_eq!(client.next_line().await.unwrap(), None, "then it does");
    }

    #[tokio::test]
    async fn a_server_that_breaks_off_at_the_goodbye_has_the_mail() {
        let (delivered, client) = deliver_to("250 queued\r\n").await;
        drop(client);
        delivered.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_does_not_want_the_mail_is_told_goodbye_too() {
        let (delivered, _client) = deliver_to("451 later\r\n").await;
        let problem = delivered.unwrap_err().to_string();
        assert_eq!(problem, "the server answers to the mail: 451 later");
    }

    #[test]
    fn no_line_of_a_mail_ends_it_early() {
        assert_eq!(on_the_wire("a\n.\n.b\n\nc\n"), "a\r\n..\r\n..b\r\n\r\nc\r\n.\r\n");
    }
}
