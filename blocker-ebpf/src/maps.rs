//! The maps, and the tables that the verdict sees made of them. Layout: [`blocker_common::map`].

use aya_ebpf::btf_maps::{Array, HashMap, PerCpuArray};
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::btf_map;
use blocker_common::map::{Ban, Counter, DEFAULT_BANS, DROP_SLOTS, PORTS, Scopes, drop_slot};
use blocker_common::packet::{Address, Family, Unparsed};
use blocker_common::verdict::Tables;

#[btf_map]
static BANS_IPV4: HashMap<[u8; 4], Ban, DEFAULT_BANS> = HashMap::new();
#[btf_map]
static BANS_IPV6: HashMap<[u8; 16], Ban, DEFAULT_BANS> = HashMap::new();
#[btf_map]
static TCP_PORTS: Array<Scopes, PORTS> = Array::new();
#[btf_map]
static DROPS: PerCpuArray<Counter, DROP_SLOTS> = PerCpuArray::new();
#[btf_map]
static UNPARSED: PerCpuArray<u64, { Unparsed::ALL.len() }> = PerCpuArray::new();

/// The kernel's maps and clock.
pub struct KernelTables;

impl Tables for KernelTables {
    #[inline(always)]
    fn tcp_scopes(&self, port: u16) -> Scopes {
        TCP_PORTS.get(u32::from(port)).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn ban(&self, source: &Address) -> Option<Ban> {
        // SAFETY: the value is copied at once. Were the agent to replace the element meanwhile, the kernel hands the slot to
        // another address at the earliest after this program has ended, except for preallocated maps, where a copy may then mix
        // two bans: one packet is judged by a ban that is just being made or taken away, which is what a packet that arrives in
        // that moment has to expect.
        unsafe {
            match source.family() {
                Family::Ipv4 => BANS_IPV4.get(source.ipv4_octets()).copied(),
                Family::Ipv6 => BANS_IPV6.get(source.ipv6_octets()).copied(),
            }
        }
    }

    /// The coarse clock (kernel 5.11) is milliseconds behind, and some 90 ns cheaper than the exact one.
    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_ktime_get_coarse_ns() }
    }
}

/// Counts a dropped packet of `len` bytes.
#[inline(always)]
pub fn count_drop(jail: u32, family: Family, len: usize) {
    if let Some(counter) = DROPS.get_ptr_mut(drop_slot(jail, family)) {
        // SAFETY: the slot is this CPU's own, and XDP programs do not interrupt each other on one CPU.
        let counter = unsafe { &mut *counter };
        counter.packets += 1;
        counter.bytes += len as u64;
    }
}

/// Counts a packet that passed because it could not be parsed.
#[inline(always)]
pub fn count_unparsed(layer: Unparsed) {
    if let Some(packets) = UNPARSED.get_ptr_mut(layer as u32) {
        // SAFETY: the slot is this CPU's own, and XDP programs do not interrupt each other on one CPU.
        unsafe { *packets += 1 };
    }
}
