//! A table of mailboxes that Postfix asks over a socket, as it would ask a database, and that counts how often it is asked.
//!
//! The protocol is Postfix's `socketmap`: a request is a table's name, a blank and a key, an answer `OK value` or `NOTFOUND `,
//! each behind its length and a colon and before a comma.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What its thread is called.
pub(super) const THREAD: &str = "mailboxes";

/// How soon it sees that it is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// As many clients as Postfix has processes, and more.
const MOST_CLIENTS: usize = 256;
/// An address is much shorter.
const LONGEST_REQUEST: usize = 4096;
/// Requests that are waited for are answered at once; who does not take an answer within this is given up.
const ANSWER: Duration = Duration::from_secs(1);

/// The server. It stops with this value.
pub(super) struct Mailboxes {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    asked: AtomicUsize,
    stop: AtomicBool,
}

struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Mailboxes {
    /// Starts to answer those who connect. There is one mailbox, `postmaster`.
    pub(super) fn start(listener: TcpListener) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let serve = move || {
            if let Err(error) = serve(&listener, &serving) {
                eprintln!("bench: the table of mailboxes has ended: {error}");
            }
        };
        let thread = Builder::new().name(THREAD.to_owned()).spawn(serve)?;
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// As `main.cf` names it.
    pub(super) fn table(&self) -> String {
        format!("socketmap:inet:{}:mailboxes", self.address)
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Mailboxes {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of its own was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Shared) -> io::Result<()> {
    let timeout = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
    let mut clients: Vec<Client> = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        let sockets = clients.iter().map(|client| client.stream.as_fd());
        let mut sockets: Vec<PollFd<'_>> = std::iter::once(listener.as_fd())
            .chain(sockets)
            .map(|socket| PollFd::new(socket, PollFlags::POLLIN))
            .collect();
        poll(&mut sockets, timeout)?;
        let mut ready: Vec<bool> = sockets.iter().map(|socket| socket.any().unwrap_or(true)).collect();
        let has_new = ready.remove(0);
        let mut ready = ready.into_iter();
        clients.retain_mut(|client| !ready.next().unwrap_or(false) || client.answer(&shared.asked).is_ok());
        if has_new
            && let Ok((stream, _)) = listener.accept()
            && clients.len() < MOST_CLIENTS
        {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(ANSWER))?;
            clients.push(Client {
                stream,
                unread: Vec::new(),
            });
        }
    }
    Ok(())
}

impl Client {
    /// Reads what there is, and answers the requests that are whole. An error is the end of it.
    fn answer(&mut self, asked: &AtomicUsize) -> Result<()> {
        let mut some = [0; 1024];
        let length = self.stream.read(&mut some)?;
        anyhow::ensure!(length > 0, "it has hung up");
        self.unread.extend(some.iter().take(length));
        while let Some(request) = next(&mut self.unread)? {
            asked.fetch_add(1, Ordering::Relaxed);
            let reply = reply(&request);
            self.stream.write_all(format!("{}:{reply},", reply.len()).as_bytes())?;
        }
        Ok(())
    }
}

/// Takes the first request out of what was read; none when it is not whole yet.
fn next(unread: &mut Vec<u8>) -> Result<Option<String>> {
    anyhow::ensure!(unread.len() <= LONGEST_REQUEST, "the request is too long");
    let Some(colon) = unread.iter().position(|&byte| byte == b':') else {
        return Ok(None);
    };
    let (digits, rest) = unread.split_at(colon);
    let length: usize = std::str::from_utf8(digits)?.parse().context("not a length")?;
    anyhow::ensure!(length <= LONGEST_REQUEST, "the request is too long");
    let Some(request) = rest.get(1..=length).filter(|_| rest.len() > length + 1) else {
        return Ok(None);
    };
    let request = String::from_utf8_lossy(request).into_owned();
    unread.drain(..colon + length + 2);
    Ok(Some(request))
}

/// Postfix asks for the whole address, for what stands before the `@`, and for what stands behind it.
fn reply(request: &str) -> &'static str {
    let key = request.split_once(' ').map_or("", |(_, key)| key);
    let is_there = key.split('@').next() == Some("postmaster");
    if is_there { "OK postmaster" } else { "NOTFOUND " }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_when_it_is_whole() {
        let mut unread = b"16:mailboxes a@b.cd".to_vec();
        assert_eq!(next(&mut unread).unwrap(), None);
        unread.extend(b",3:a b,");
        assert_eq!(next(&mut unread).unwrap().as_deref(), Some("mailboxes a@b.cd"));
        assert_eq!(next(&mut unread).unwrap().as_deref(), Some("a b"));
        assert_eq!(next(&mut unread).unwrap(), None);
        assert!(unread.is_empty());
    }

    #[test]
    fn what_is_no_request_ends_the_connection() {
        assert!(next(&mut b"x:y,".to_vec()).is_err());
        assert!(next(&mut b"99999:y".to_vec()).is_err());
        assert!(next(&mut vec![b'1'; LONGEST_REQUEST + 1]).is_err());
    }

    #[test]
    fn there_is_one_mailbox() {
        assert_eq!(reply("mailboxes postmaster@relay.example"), "OK postmaster");
        assert_eq!(reply("mailboxes postmaster"), "OK postmaster");
        assert_eq!(reply("mailboxes user7@relay.example"), "NOTFOUND ");
        assert_eq!(reply("mailboxes @relay.example"), "NOTFOUND ");
        assert_eq!(reply("mailboxes"), "NOTFOUND ");
    }

    #[test]
    fn a_client_over_a_socket_is_answered_and_counted() {
        let mailboxes = Mailboxes::start(TcpListener::bind(("127.0.0.1", 0)).unwrap()).unwrap();
        let mut stream = TcpStream::connect(mailboxes.address).unwrap();
        stream.write_all(b"20:mailboxes postmaster,").unwrap();
        let mut answer = [0; 17];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"13:OK postmaster,");
        assert_eq!(mailboxes.asked(), 1);
    }
}
