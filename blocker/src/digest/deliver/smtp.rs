//! A mail by SMTP to a server nearby (RFC 5321): no more of it than to hand over one mail.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::config::MailAddress;

/// Bytes of a line of a reply, and lines of one.
const REPLY: (u64, usize) = (1024, 64);

/// Hands a mail over; its lines end in a line feed alone.
pub(super) async fn deliver(server: SocketAddr, host: &str, to: &[MailAddress], mail: &str) -> Result<()> {
    let stream = TcpStream::connect(server).await.context("cannot be connected to")?;
    let mut server = Server(BufReader::new(stream));
    server.replies('2', "the connection").await?;
    server.takes(&format!("EHLO {host}"), '2').await?;
    // Nobody is to be told that it did not arrive: that would be one mail more.
    server.takes("MAIL FROM:<>", '2').await?;
    for to in to {
        server.takes(&format!("RCPT TO:<{to}>"), '2').await?;
    }
    server.takes("DATA", '3').await?;
    server.0.write_all(on_the_wire(mail).as_bytes()).await?;
    server.replies('2', "the mail").await?;
    // It is delivered, whatever becomes of the goodbye.
    let _ = server.0.write_all(b"QUIT\r\n").await;
    Ok(())
}

struct Server(BufReader<TcpStream>);

impl Server {
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
    use super::*;

    #[test]
    fn no_line_of_a_mail_ends_it_early() {
        assert_eq!(on_the_wire("a\n.\n.b\n\nc\n"), "a\r\n..\r\n..b\r\n\r\nc\r\n.\r\n");
    }
}
