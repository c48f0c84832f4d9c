//! The source: lines from log files, as they are written.
//!
//! A [`Tail`](tail::Tail) is a state machine over one path that reads what is there and never waits; [`Watch`](watch::Watch)
//! waits until there may be more. A [`StoredLog`](stored::StoredLog) is one that is read once and not followed. What a line says is
//! the filter's business and may not enter.

pub mod stored;
pub mod tail;
pub mod watch;
