//! A banned host that goes on knocking, and whether anything of it comes past blocker.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use blocker_lab::Lab;
use blocker_lab::network::{SMTP, smtp_for};
use socket2::{Domain, Socket, Type};

use crate::eventually;
use crate::relay::Relay;

/// SYNs that are sent at a time.
const SYNS: u64 = 3000;

/// Sends so many SYNs from one of the spammers' addresses to the relay's port 25, each once.
///
/// # Panics
///
/// When the spammers' host cannot be entered.
pub fn knock(relay: &Relay, source: IpAddr, syns: u32) {
    let send = || {
        for _ in 0..syns {
            let source = SocketAddr::new(source, 0);
            let socket = Socket::new(Domain::for_address(source), Type::STREAM, None).expect("a socket can be made");
            socket.set_nonblocking(true).expect("a socket need not wait");
            socket.bind(&source.into()).expect("it is one of the host's addresses");
            // Nobody waits for the answer, and nobody is left to repeat it.
            let _ = socket.connect(&smtp_for(source.ip()).into());
        }
    };
    relay.lab.spam().enter(send).expect("the spammers' host can be entered");
}

/// A host that goes on knocking, on a thread of its own.
pub struct Knocking {
    sent: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Knocking {
    /// Begins to send SYNs from one of the spammers' IPv4 addresses to the relay's port 25.
    ///
    /// # Panics
    ///
    /// When the spammers' host cannot be entered.
    #[must_use]
    pub fn begin(relay: &Relay, source: IpAddr) -> Self {
        Self::begin_in(&relay.lab, source)
    }

    /// As [`Knocking::begin`], at whatever runs on the lab's relay.
    ///
    /// # Panics
    ///
    /// When the spammers' host cannot be entered.
    #[must_use]
    pub fn begin_in(lab: &Lab, source: IpAddr) -> Self {
        let (sent, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (Arc::clone(&sent), Arc::clone(&is_over));
        let knock = move || {
            while !over.load(Ordering::Relaxed) {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
                socket.set_nonblocking(true).expect("a socket need not wait");
                let source = SocketAddr::new(source, 0).into();
                socket.bind(&source).expect("it is one of the host's addresses");
                // Nobody waits for the answer: this sends one SYN.
                let _ = socket.connect(&SMTP.into());
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let thread = lab.spam().enter(|| std::thread::spawn(knock));
        Self {
            sent,
            is_over,
            thread: Some(thread.expect("the spammers' host can be entered")),
        }
    }

    /// Waits until a few thousand SYNs more were sent.
    pub fn go_on(&self) {
        let before = self.sent();
        eventually("the spammer goes on", || self.sent() >= before + SYNS);
    }

    /// How many SYNs were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Leaves off, and says how many SYNs were sent.
    ///
    /// # Panics
    ///
    /// When the host has.
    pub fn end(&mut self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the spammer does not panic");
        }
        self.sent()
    }
}

impl Drop for Knocking {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Counts a host's packets to port 25 that have come past blocker's place in the relay's kernel.
pub struct Observer<'a>(&'a Lab);

impl<'a> Observer<'a> {
    /// Begins to count.
    #[must_use]
    pub fn new(relay: &'a Relay, source: IpAddr) -> Self {
        Self::new_in(&relay.lab, source)
    }

    /// As [`Observer::new`], before whatever runs on the lab's relay.
    ///
    /// # Panics
    ///
    /// When nft does not take the rule.
    #[must_use]
    pub fn new_in(lab: &'a Lab, source: IpAddr) -> Self {
        let rules = format!(
            "table inet observer {{ chain prerouting {{ type filter hook prerouting priority -299; \
             ip saddr {source} tcp dport 25 counter\n }}\n }}"
        );
        let _ = nft(lab, &[&rules]);
        Self(lab)
    }

    /// How many there were.
    ///
    /// # Panics
    ///
    /// When nft does not tell.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        let text = nft(self.0, &["list", "chain", "inet", "observer", "prerouting"]);
        let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
        words
            .nth(1)
            .and_then(|count| count.parse().ok())
            .expect("nft tells a count")
    }
}

/// What the machine's nft prints on the relay.
fn nft(lab: &Lab, arguments: &[&str]) -> String {
    let output = lab.relay().command("nft").args(arguments).output().expect("nft starts");
    assert!(output.status.success(), "nft {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
