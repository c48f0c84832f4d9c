//! Where packets are looked at.

use std::ffi::CString;

use nftnl::{Chain, ChainType, Hook as At, MsgType, Policy, Table};

use super::names::{self, PREROUTING};
use super::transaction::Transaction;
use crate::firewall::interfaces::{self, Chosen};

/// The kernel's `NF_IP_PRI_RAW`: before connection tracking.
const RAW: i32 = -300;

/// Where packets are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before routing and connection tracking, whichever way they come in.
    Prerouting,
    /// As these interfaces hand them on, before anything else of the kernel's.
    ///
    /// # Minimum kernel version
    ///
    /// 5.10, for ingress in a table of the inet family.
    Ingress(Chosen),
}

impl Hook {
    /// The interfaces it is tied to, as far as there are such; `before` are those it was tied to until now. The kernel takes a chain's
    /// rules out with its interface.
    pub fn present(&self, before: &[String]) -> Vec<String> {
        let Self::Ingress(chosen) = self else {
            return Vec::new();
        };
        match interfaces::list() {
            Ok(present) => {
                let meant = chosen.among(&present, |interface| before.contains(&interface.name));
                meant.into_iter().map(|interface| interface.name.clone()).collect()
            }
            Err(error) => {
                tracing::error!(%error, "the network interfaces cannot be listed");
                before.to_vec()
            }
        }
    }

    /// Adds the chains that packets enter by themselves: one, or one for each interface that is `present`.
    pub fn lay<'a>(&self, transaction: &mut Transaction, table: &'a Table, present: &[String]) -> Vec<Chain<'a>> {
        let mut chains = match self {
            Self::Prerouting => {
                let mut chain = Chain::new(PREROUTING, table);
                chain.set_hook(At::PreRouting, RAW);
                vec![chain]
            }
            Self::Ingress(_) => {
                // What has no place in a C string is no interface's name.
                let devices = present
                    .iter()
                    .filter_map(|interface| CString::new(interface.as_str()).ok());
                let chain = |(n, device): (usize, CString)| {
                    let mut chain = Chain::new(names::ingress(n), table);
                    chain.set_hook(At::Ingress, RAW);
                    chain.set_device(device);
                    chain
                };
                devices.enumerate().map(chain).collect()
            }
        };
        for chain in &mut chains {
            chain.set_type(ChainType::Filter);
            chain.set_policy(Policy::Accept);
            transaction.add(0, chain, MsgType::Add);
        }
        chains
    }
}
