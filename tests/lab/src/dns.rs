//! A name server whose records a test writes, and changes while it runs.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, MX, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// What its thread is called: so the kernel tells how much of the processor it takes.
pub const THREAD: &str = "name-server";
/// How soon the server sees that it is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// Longest part of a text, RFC 1035, 3.3.
const MAX_PART: usize = 255;

/// The records of each kind at each name.
type Zone = BTreeMap<(String, RecordType), Vec<Record>>;

/// A name server on UDP that knows what it was told and denies all else. It stops with this value.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    zone: Mutex<Zone>,
    queries: AtomicUsize,
    stop: AtomicBool,
}

impl NameServer {
    /// Starts to answer on a socket.
    ///
    /// # Errors
    ///
    /// When the socket is none that can be read with a limit of time.
    pub fn start(socket: UdpSocket) -> Result<Self> {
        socket.set_read_timeout(Some(LOOK))?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let thread = Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || serve(&socket, &serving))?;
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many queries it has had.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.shared.queries.load(Ordering::Relaxed)
    }

    /// Makes the records of a kind at a name exactly these, as in `("relay.example", 60, "A", &["192.0.2.7"])`.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn set(&self, name: &str, ttl: u32, kind: &str, values: &[&str]) -> Result<()> {
        let kind: RecordType = kind.parse()?;
        let owner = Name::from_ascii(format!("{name}."))?;
        let record = |value: &&str| Ok(Record::from_rdata(owner.clone(), ttl, data(kind, value)?));
        let records: Vec<Record> = values.iter().map(record).collect::<Result<_>>()?;
        let mut zone = self.shared.zone.lock().unwrap_or_else(PoisonError::into_inner);
        zone.insert((key(&owner), kind), records);
        Ok(())
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it has shown already, in what the test misses.
            let _ = thread.join();
        }
    }
}

fn data(kind: RecordType, value: &str) -> Result<RData> {
    Ok(match kind {
        RecordType::A => RData::A(A(value.parse()?)),
        RecordType::AAAA => RData::AAAA(AAAA(value.parse()?)),
        RecordType::MX => RData::MX(MX::new(10, Name::from_ascii(format!("{value}."))?)),
        _ => RData::TXT(TXT::from_bytes(value.as_bytes().chunks(MAX_PART).collect())),
    })
}

fn key(name: &Name) -> String {
    name.to_ascii().to_ascii_lowercase()
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 4096];
    while !shared.stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                shared.queries.fetch_add(1, Ordering::Relaxed);
                if let Ok(answer) = answer(&buffer[..length], shared) {
                    // A client that is gone needs no answer.
                    let _ = socket.send_to(&answer, from);
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

fn answer(query: &[u8], shared: &Shared) -> Result<Vec<u8>> {
    let query = Message::from_vec(query)?;
    let question = query.queries.first().context("no question")?;
    let zone = shared.zone.lock().unwrap_or_else(PoisonError::into_inner);
    let name = key(question.name());
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(question.clone());
    match zone.get(&(name.clone(), question.query_type())) {
        Some(records) => {
            answer.add_answers(records.iter().cloned());
        }
        None if zone.keys().any(|(known, _)| *known == name) => {}
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    Ok(answer.to_vec()?)
}
