//! HTTP: what other programs are told, and what they ask for: metrics and the page on the metrics address, everything else on the
//! control socket.
//! What is asked for is put to the agent's stages; decisions may not enter.

pub mod connections;
pub mod control;
pub mod health;
pub mod http;
pub mod metrics;
pub mod model;
pub mod page;
mod problem;
pub(crate) mod rates;
