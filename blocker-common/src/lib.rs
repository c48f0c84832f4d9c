//! What blocker's kernel program and its agent share.
//!
//! The layout of the BPF maps ([`map`]), the packet parser ([`packet`]) and the verdict ([`verdict`]) as a pure function of a
//! packet and the tables. Nothing here touches the kernel, allocates or panics, so the very code that judges packets in the
//! kernel is tested on the host. Helpers, clocks and map handles may not enter: the verdict is handed them behind
//! [`verdict::Tables`].
#![cfg_attr(not(test), no_std)]

pub mod map;
pub mod packet;
pub mod verdict;
