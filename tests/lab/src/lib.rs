//! The lab: a mail relay, hosts that spam and an honest host, each in a network namespace of this machine.
//!
//! `cargo xtask run` shows the agent's work in it, the end-to-end tests prove it there. Packets are real, Postfix is real, and
//! nothing of it touches the machine: every mount lives in a mount namespace of its own, every link in a network namespace, and
//! whatever a killed run could not take away is taken away by the next one (see [`registry`]).
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use blocker_lab::{Lab, network, postfix::Postfix, smtp};
//!
//! let lab = Lab::new()?;
//! let postfix = Postfix::start(&lab)?;
//! let outcome = lab.spam().enter(|| {
//!     let from = network::SPAMMERS[0].into();
//!     smtp::attempt(from, network::SMTP, "x@y.example", "a@domain1.com", smtp::Timeouts::default())
//! })?;
//! assert_eq!(outcome, smtp::Outcome::Rejected(554));
//! # Ok(())
//! # }
//! ```

mod base;
mod join;
mod root;

pub mod command;
pub mod debian;
pub mod dns;
pub mod mail_log;
pub mod namespace;
pub mod network;
pub mod postfix;
pub mod registry;
pub mod smtp;
pub mod tap;
pub mod wire;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

pub use namespace::Namespace;
pub use network::Network;
use registry::Record;
pub use wire::Wire;

/// One lab: its hosts, its folder, and its entry in the registry of labs.
///
/// Any number of labs may exist at once, in one process or in several.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: the record has to outlive the namespaces it names.
    network: Network,
    record: Record,
}

impl Lab {
    /// Takes away what killed runs left, and makes a new lab.
    ///
    /// # Errors
    ///
    /// When not root, or when the machine refuses a namespace or a link.
    pub fn new() -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "network namespaces need root: run this as root or through sudo"
        );
        let record = Record::open(Path::new(registry::FOLDER))?;
        let network = Network::new(&record).context("cannot make the lab's network")?;
        Ok(Self { network, record })
    }

    /// The mail relay: one interface, `eth0`, that every other host's packets come in by.
    #[must_use]
    pub const fn relay(&self) -> &Namespace {
        &self.network.relay
    }

    /// The hosts that spam: one namespace with all of their addresses.
    #[must_use]
    pub const fn spam(&self) -> &Namespace {
        &self.network.spam
    }

    /// The host that sends what the relay is there for.
    #[must_use]
    pub const fn honest(&self) -> &Namespace {
        &self.network.honest
    }

    /// Whether the hosts have IPv6 addresses too: a kernel may lack it.
    #[must_use]
    pub const fn has_ipv6(&self) -> bool {
        self.network.ipv6
    }

    /// One more host on the lab's network, with the given addresses (as in `198.51.100.9/24`) on its `eth0`.
    ///
    /// # Errors
    ///
    /// When the machine refuses the namespace, the link or an address.
    pub fn host(&self, name: &str, addresses: &[&str]) -> Result<Namespace> {
        self.network.host(&self.record, name, addresses)
    }

    /// Takes the relay's `eth0` away, as when a driver is unloaded.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn unplug_relay(&self) -> Result<()> {
        self.network.unplug_relay()
    }

    /// Gives the relay an `eth0` again: another interface, by the same name and with the same addresses.
    ///
    /// # Errors
    ///
    /// When the machine refuses the link or an address.
    pub fn plug_relay(&self) -> Result<()> {
        self.network.plug_relay()
    }

    /// A folder of the lab's own on the machine, removed with it: for a configuration, a log, a socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.record.folder()
    }
}
