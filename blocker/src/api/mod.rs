//! HTTP: what other programs are told. Read-only views; decisions may not enter.

pub mod http;
pub mod metrics;
