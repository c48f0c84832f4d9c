//! Wakes the judge when interfaces change: one that is new is open to everybody until it is covered.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use super::reader::Batch;
use crate::firewall::interfaces::{LinkWatch, SPACING};
use crate::source::watch::{Stop, wait_for};

/// After this the judge looks again, wherever in its round the first call has found it.
const AGAIN: Duration = SPACING.saturating_add(Duration::from_millis(10));

/// Wakes the judge with batches of nothing until it is told to stop. The judge sees for itself what has changed.
pub(super) fn run(mut links: LinkWatch, judge: &SyncSender<Batch>, stop: &Stop) {
    while !stop.is_given() {
        match wait(&mut links, stop) {
            Ok(false) => {}
            Ok(true) => {
                // Where the queue is full the judge is awake.
                let _ = judge.try_send(Batch::default());
                // So soon after one look there is no other: what changes meanwhile is for the next.
                thread::sleep(AGAIN);
                let _ = judge.try_send(Batch::default());
            }
            Err(error) => {
                // The judge looks every second.
                tracing::error!(%error, "changes of network interfaces are noticed a second late");
                return stop_is_given(stop);
            }
        }
    }
}

/// Waits until interfaces have changed, or for a while.
fn wait(links: &mut LinkWatch, stop: &Stop) -> io::Result<bool> {
    let [changed, _] = wait_for([links.as_fd(), stop.as_fd()])?;
    if changed { links.drain() } else { Ok(false) }
}

/// Waits for the agent's end: a thread that ends before is taken for one that has failed.
fn stop_is_given(stop: &Stop) {
    while !stop.is_given() {
        thread::sleep(SPACING);
    }
}
