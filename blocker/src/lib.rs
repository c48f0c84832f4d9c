//! blocker: drops abusive mail hosts in the kernel.
//!
//! A line runs one way through the stages, each a module: source, filter, jail, ledger, [`firewall`].

pub mod agent;
pub mod api;
pub mod ban;
pub mod cli;
pub mod config;
pub mod digest;
pub mod dns;
pub mod filter;
pub mod firewall;
pub mod hangup;
pub mod instance;
pub mod jail;
pub mod ledger;
pub mod machine;
mod memory;
mod netlink;
pub mod privileges;
pub mod problem;
pub mod replay;
pub mod resolve;
pub mod service;
pub mod source;
