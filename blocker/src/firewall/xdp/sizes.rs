//! How large the kernel's maps are, and what memory that takes.

use blocker_common::map::{self, Ban, Scopes};

/// How large the kernel's maps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Banned addresses of each kind: IPv4, IPv6 networks of 64 bits, single IPv6 addresses.
    pub addresses: u32,
    /// Banned networks of each IP version, and as many in the allowlist.
    pub networks: u32,
}

impl Sizes {
    /// Bytes of the kernel's memory that the maps take from the start.
    #[must_use]
    pub fn memory(self) -> u64 {
        // An element of a hash: 48 bytes of the kernel's own, the key in whole words, the value. A bucket: 16 bytes
        // (`struct htab_elem` and `struct bucket` in `kernel/bpf/hashtab.c`).
        let element = 48 + 8 + size_of::<Ban>() as u64;
        let bucket = 16;
        let addresses = u64::from(self.addresses);
        let (preallocated, hashes) = (2, 4);
        let ports = 2 * (map::PORTS * size_of::<Scopes>()) as u64;
        addresses * element * preallocated + addresses.next_power_of_two() * bucket * hashes + ports
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            addresses: map::DEFAULT_HOSTS as u32,
            networks: map::DEFAULT_NETWORKS as u32,
        }
    }
}
