//! The maps, and the tables that the verdict sees made of them. Layout: [`blocker_common::map`].

use core::cell::UnsafeCell;
use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::btf_maps::{Array, HashMap, LpmTrie, PerCpuArray};
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_coarse_ns};
use aya_ebpf::macros::btf_map;
use blocker_common::map::{
    Ban, COUNTER_SLOTS, Counter, DEFAULT_HOSTS, DEFAULT_NETWORKS, Ends, MAX_JAILS, Moment, PORTS, Scopes, Settings,
    counter_slot, ticks,
};
use blocker_common::packet::{Address, Family, Protocol, Unparsed};
use blocker_common::verdict::{Banned, Held, Tables};

/// A value that is counted in; of a trie, unlike a hash, aya hands out shared references only.
#[repr(transparent)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: reached through raw pointers only, see `held` and `count`.
unsafe impl<T> Sync for Shared<T> {}

const GROWS: usize = BPF_F_NO_PREALLOC as usize;

#[btf_map]
static IPV4_HOSTS: HashMap<[u8; 4], Ban, DEFAULT_HOSTS> = HashMap::new();
#[btf_map]
static IPV6_SUBNETS: HashMap<[u8; 8], Ban, DEFAULT_HOSTS> = HashMap::new();
#[btf_map]
static IPV6_HOSTS: HashMap<[u8; 16], Ban, DEFAULT_HOSTS, GROWS> = HashMap::new();
#[btf_map]
static IPV4_NETWORKS: LpmTrie<[u8; 8], Shared<Ban>, DEFAULT_NETWORKS> = LpmTrie::new();
#[btf_map]
static IPV6_NETWORKS: LpmTrie<[u8; 16], Shared<Ban>, DEFAULT_NETWORKS> = LpmTrie::new();
#[btf_map]
static ENDS: HashMap<u32, Ends, DEFAULT_HOSTS, GROWS> = HashMap::new();
#[btf_map]
static IPV4_ALLOWED: LpmTrie<u32, u8, DEFAULT_NETWORKS> = LpmTrie::new();
#[btf_map]
static IPV6_ALLOWED: LpmTrie<[u8; 16], u8, DEFAULT_NETWORKS> = LpmTrie::new();
#[btf_map]
static TCP_PORTS: Array<Scopes, PORTS> = Array::new();
#[btf_map]
static UDP_PORTS: Array<Scopes, PORTS> = Array::new();
#[btf_map]
static SETTINGS: Array<Settings, 1> = Array::new();
#[btf_map]
static CLOCK: PerCpuArray<Moment, 1> = PerCpuArray::new();
#[btf_map]
static COUNTERS: PerCpuArray<Counter, COUNTER_SLOTS> = PerCpuArray::new();
// The program reads neither of the next two. They lie beside the others for the agent that comes after this one.
#[btf_map]
static CARRIED: Array<Counter, COUNTER_SLOTS> = Array::new();
#[btf_map]
static JAILS: Array<[u8; 64], MAX_JAILS> = Array::new();
#[btf_map]
static UNPARSED: PerCpuArray<u64, { Unparsed::ALL.len() }> = PerCpuArray::new();

/// The kernel's maps and clock.
///
/// What is found in a map is read in place while the agent may replace it. In a preallocated map its place may already be another
/// host's then; the packet is judged by that, once. That is what a packet has to expect that comes while bans are made.
pub struct KernelTables;

/// Reads a ban where it lies: what the verdict asks for, and no counts.
#[inline(always)]
fn held(place: *mut Ban) -> Held<*mut Ban> {
    // SAFETY: the kernel gave the place for this call of the program; volatile, since others write there. Each field is read by one
    // instruction, and every bit pattern is a value.
    let ban = unsafe {
        Ban {
            until: (&raw const (*place).until).read_volatile(),
            packets: 0,
            last_packet: 0,
            terms: (&raw const (*place).terms).read_volatile(),
        }
    };
    Held { ban, place }
}

/// A trie's key, where an address is written into it in whole words: the verifier lets the stack be written to at a word's own places only,
/// and the address stands behind half a word.
#[repr(C, align(8))]
struct Placed<K> {
    before: u32,
    key: Key<K>,
}

impl<K> Placed<K> {
    #[inline(always)]
    const fn new(prefix_len: u32, address: K) -> Self {
        Self {
            before: 0,
            key: Key::new(prefix_len, address),
        }
    }
}

impl Tables for KernelTables {
    type Place = *mut Ban;

    #[inline(always)]
    fn settings(&self) -> Settings {
        SETTINGS.get(0).copied().unwrap_or_default()
    }

    /// A look-up for each protocol, and not one in either map: the verifier puts the look-up in an array into the program itself, but
    /// only where it sees which array that is. Otherwise it is an indirect call, which takes 20 ns with retpolines.
    #[inline(always)]
    fn port_scopes(&self, protocol: Protocol, port: u16) -> Scopes {
        let port = u32::from(port);
        match protocol {
            Protocol::Tcp => TCP_PORTS.get(port).copied().unwrap_or(0),
            Protocol::Udp => UDP_PORTS.get(port).copied().unwrap_or(0),
        }
    }

    #[inline(always)]
    fn ipv4_host(&self, source: &Address) -> Option<Held<*mut Ban>> {
        IPV4_HOSTS.get_ptr_mut(source.ipv4_octets()).map(held)
    }

    #[inline(always)]
    fn ipv6_subnet(&self, source: &Address) -> Option<Held<*mut Ban>> {
        IPV6_SUBNETS.get_ptr_mut(source.first_eight()).map(held)
    }

    #[inline(always)]
    fn ipv6_host(&self, source: &Address) -> Option<Held<*mut Ban>> {
        // A copy: an address of which the kernel gets a pointer would lie in memory from the beginning, byte by byte, for every packet.
        let key = *source.octets();
        IPV6_HOSTS.get_ptr_mut(&key).map(held)
    }

    #[inline(always)]
    fn network(&self, source: &Address, prefix_len: u8) -> Option<Held<*mut Ban>> {
        let prefix_len = u32::from(prefix_len);
        let found = match source.family() {
            Family::Ipv4 => IPV4_NETWORKS.get(&Placed::new(prefix_len, source.first_eight()).key),
            Family::Ipv6 => IPV6_NETWORKS.get(&Placed::new(prefix_len, *source.octets()).key),
        };
        found.map(|cell| held(cell.0.get()))
    }

    #[inline(always)]
    fn ends(&self, key: u32) -> Option<&Ends> {
        // SAFETY: see above; the agent replaces the element as a whole.
        unsafe { ENDS.get(key) }
    }

    #[inline(always)]
    fn is_allowed(&self, source: &Address) -> bool {
        match source.family() {
            // In one word, as the kernel reads it: a processor waits for bytes to be written before it reads a word that they make.
            Family::Ipv4 => {
                let key = u32::from_ne_bytes(source.ipv4_octets());
                IPV4_ALLOWED.get(&Placed::new(32, key).key).is_some()
            }
            Family::Ipv6 => IPV6_ALLOWED.get(&Placed::new(128, *source.octets()).key).is_some(),
        }
    }

    /// The coarse clock (kernel 5.11) is milliseconds behind, and some 90 ns cheaper than the exact one. It moves once in a jiffy, and is
    /// asked once in a jiffy: to read the jiffies is an instruction, to ask the clock a call.
    #[inline(always)]
    fn now(&self) -> u32 {
        // SAFETY: the helper takes nothing and cannot fail.
        let jiffy = unsafe { bpf_jiffies64() };
        let Some(moment) = CLOCK.get_ptr_mut(0) else {
            return u32::MAX;
        };
        // SAFETY: it is this CPU's own, as in `count`.
        let moment = unsafe { &mut *moment };
        if moment.jiffy != jiffy {
            // SAFETY: as above.
            let time = ticks(unsafe { bpf_ktime_get_coarse_ns() });
            *moment = Moment {
                jiffy,
                ticks: time.into(),
            };
        }
        moment.ticks as u32
    }
}

/// Counts a packet of `len` bytes for its jail, and for what covers it; says how many that had covered before.
#[inline(always)]
pub fn count(banned: &Banned<*mut Ban>, len: usize) -> u32 {
    if let Some(counter) = COUNTERS.get_ptr_mut(counter_slot(banned.jail, banned.family, banned.outcome)) {
        // SAFETY: the slot is this CPU's own, and XDP programs do not interrupt each other on one CPU.
        let counter = unsafe { &mut *counter };
        counter.packets += 1;
        counter.bytes += len as u64;
    }
    let place = banned.place;
    // SAFETY: the kernel gave the place for this call of the program. Other processors add there too, atomically as here; of several
    // times any is right.
    unsafe {
        let before = (&raw const (*place).packets).read_volatile();
        if before < Ban::MOST_PACKETS {
            atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(&raw mut (*place).packets, 1);
        }
        (&raw mut (*place).last_packet).write_volatile(banned.time);
        before
    }
}

/// Counts a packet that passed because it could not be parsed.
#[inline(always)]
pub fn count_unparsed(reason: Unparsed) {
    if let Some(packets) = UNPARSED.get_ptr_mut(reason as u32) {
        // SAFETY: the slot is this CPU's own, and XDP programs do not interrupt each other on one CPU.
        unsafe { *packets += 1 };
    }
}
