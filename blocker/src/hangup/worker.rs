//! The thread's work: one look at all sockets for each batch of bans, and then a rest.
//!
//! How many sockets there are is up to anybody who can connect, and so is how often somebody is banned. So the rest is as long as it takes
//! to keep the thread at a tenth of one processor.

use std::io;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use prometheus_client::metrics::counter::Counter;

use super::covered::{Covered, Scopes};
use super::pending::{Batch, Pending};
use super::sockets::{End, Fault, Sockets};

/// How many times longer than a batch took the processor the thread rests after it.
const REST: u32 = 9;

pub(super) struct Worker<'a> {
    scopes: &'a Scopes,
    pending: &'a Pending,
    ended: &'a Counter,
    sockets: Option<Sockets>,
    /// Whether it was said that bans were left out, and that something went wrong.
    told_left_out: bool,
    told_fault: bool,
}

/// What a batch came to.
#[derive(Debug, Default)]
struct Done {
    connections: usize,
    ended: u64,
}

impl<'a> Worker<'a> {
    pub(super) const fn new(scopes: &'a Scopes, pending: &'a Pending, ended: &'a Counter) -> Self {
        Self {
            scopes,
            pending,
            ended,
            sockets: None,
            told_left_out: false,
            told_fault: false,
        }
    }

    pub(super) fn run(mut self) {
        let mut rested = Instant::now();
        while let Some(batch) = self.pending.next(rested) {
            let begun = processor_time();
            self.tell_left_out(batch.left_out);
            let mut done = Done::default();
            let result = self.work(&batch, &mut done);
            // Also what was ended until something went wrong.
            self.ended.inc_by(done.ended);
            let took = processor_time().saturating_sub(begun);
            let Done { connections, ended } = done;
            tracing::debug!(
                bans = batch.banned.len(),
                connections,
                ended,
                ?took,
                "connections of banned hosts were looked for"
            );
            match result {
                Ok(()) => self.told_fault = false,
                Err(fault) => self.cope_with(fault),
            }
            rested = Instant::now() + took.saturating_mul(REST);
        }
    }

    fn work(&mut self, batch: &Batch, done: &mut Done) -> Result<(), Fault> {
        let sockets = match &mut self.sockets {
            Some(sockets) => sockets,
            none => none.insert(Sockets::open()?),
        };
        let covered = Covered::new(self.scopes, &batch.banned, &batch.spared);
        let mut to_end = Vec::new();
        sockets.each(|connection| {
            done.connections += 1;
            if covered.cover(connection.host(), connection.port()) {
                to_end.push(connection);
            }
        })?;
        let mut refused = None;
        for connection in &to_end {
            match sockets.end(connection) {
                Ok(End::Made) => done.ended += 1,
                Ok(End::Gone) => {}
                // Of a kernel that does not answer there is no use in asking for the next.
                Err(Fault::Other(error)) if error.kind() != io::ErrorKind::WouldBlock => refused = Some(error),
                Err(fault) => return Err(fault),
            }
        }
        refused.map_or(Ok(()), |error| Err(Fault::Other(error)))
    }

    fn tell_left_out(&mut self, left_out: usize) {
        if left_out > 0 && !self.told_left_out {
            self.told_left_out = true;
            tracing::warn!(
                bans = left_out,
                "more bans came at a time than connections are looked for: those of the others end by the mail server's own timeout"
            );
        }
    }

    /// Says once what does not go, and leaves it where it will not go the next time either.
    fn cope_with(&mut self, fault: Fault) {
        self.sockets = None;
        let why = match fault {
            Fault::Unsupported => "the kernel lacks it: it takes CONFIG_INET_DIAG_DESTROY and CONFIG_INET_TCP_DIAG",
            Fault::NotPermitted => "the agent lacks CAP_NET_ADMIN in this network: run it as root",
            Fault::Other(error) => {
                if !self.told_fault {
                    self.told_fault = true;
                    tracing::warn!(
                        %error,
                        "connections of banned hosts cannot be ended for now: they end by the mail server's own timeout"
                    );
                }
                return;
            }
        };
        self.pending.turn_off();
        tracing::warn!(
            why,
            "connections that hosts have open when they are banned are not ended, and hold a process of the mail server until its own timeout: \
             shorten that, as with `smtpd_timeout` of Postfix; `end_connections = false` under [firewall] in blocker.toml has this not tried"
        );
    }
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
