//! A map's elements, many in one system call: less than half the time of as many calls.
//!
//! The kernel has these commands since 5.6 for hashes and since 5.11 for tries; aya 0.14 does not know them.
#![expect(unsafe_code, reason = "a system call that takes pointers")]

use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::ptr;

use anyhow::{Context as _, Result, ensure};
use aya::Pod;
use aya::maps::MapData;
use nix::libc;

use crate::firewall::view::{Entries, Map};

/// Numbers of `enum bpf_cmd` in `linux/bpf.h`.
const GET: libc::c_long = 1;
const LOOKUP: libc::c_long = 24;
const UPDATE: libc::c_long = 26;
const DELETE: libc::c_long = 27;
/// Elements of one call. The kernel copies them one by one, so more bring nothing.
pub(super) const MAX: usize = 4096;

/// Bytes for a position in a map: the longest key, of an IPv6 network.
const POSITION: usize = 20;

/// The `batch` part of `union bpf_attr` in `linux/bpf.h`.
#[repr(C)]
#[derive(Default)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// The part of `union bpf_attr` that is for single elements.
#[repr(C)]
#[derive(Default)]
struct Element {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// A map that is open for its elements.
pub(super) struct Elements<K, V> {
    map: OwnedFd,
    capacity: u32,
    types: PhantomData<fn(K) -> V>,
}

/// Where a call came to a halt.
#[derive(Debug)]
pub(super) struct Halt {
    /// Elements that are done. The one behind them is not, and is to blame.
    pub(super) done: usize,
    /// Why.
    pub(super) error: io::Error,
}

impl<K: Pod, V: Pod> Elements<K, V> {
    /// Opens a map whose keys and values are of these types.
    pub(super) fn open(map: &MapData) -> Result<Self> {
        let info = map.info().context("cannot ask the kernel about a map")?;
        ensure!(
            (info.key_size() as usize, info.value_size() as usize) == (size_of::<K>(), size_of::<V>()),
            "the map `{}` has keys of {} bytes and values of {}, and not of {} and {}",
            String::from_utf8_lossy(info.name()),
            info.key_size(),
            info.value_size(),
            size_of::<K>(),
            size_of::<V>()
        );
        Ok(Self {
            map: map.fd().as_fd().try_clone_to_owned().context("no descriptor is left")?,
            capacity: info.max_entries(),
            types: PhantomData,
        })
    }

    /// The most elements that the map holds.
    pub(super) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How full it is, for whoever watches.
    pub(super) fn map(&self, name: &str, entries: &Entries) -> Map {
        Map {
            name: name.to_ascii_lowercase(),
            entries: entries.clone(),
            capacity: Some(self.capacity.into()),
        }
    }

    /// Makes the map hold `values` for `keys`, at most [`MAX`].
    pub(super) fn update(&self, keys: &[K], values: &[V]) -> Result<(), Halt> {
        let count = keys.len().min(values.len()).min(MAX);
        self.change(UPDATE, keys.as_ptr() as u64, values.as_ptr() as u64, count)
    }

    /// Takes `keys`, at most [`MAX`], out of the map.
    pub(super) fn delete(&self, keys: &[K]) -> Result<(), Halt> {
        self.change(DELETE, keys.as_ptr() as u64, 0, keys.len().min(MAX))
    }

    /// What the map holds for a key; a trie answers with the narrowest network that has it.
    pub(super) fn get(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = MaybeUninit::<V>::uninit();
        let mut attributes = Element {
            map_fd: self.map.as_raw_fd().cast_unsigned(),
            key: ptr::from_ref(key) as u64,
            value: value.as_mut_ptr() as u64,
            ..Element::default()
        };
        // SAFETY: a key of the map's type is read, and a value of its type is written to where there is room for one.
        let result = unsafe { libc::syscall(libc::SYS_bpf, GET, &raw mut attributes, size_of::<Element>()) };
        if result == 0 {
            // SAFETY: the kernel has written it.
            return Ok(Some(unsafe { value.assume_init() }));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOENT) => Ok(None),
            _ => Err(error),
        }
    }

    /// Hands every element of the map to `each`. Elements that come or go meanwhile may be missing, or come twice.
    pub(super) fn dump(&self, mut each: impl FnMut(K, V)) -> io::Result<()> {
        let mut keys: Vec<MaybeUninit<K>> = Vec::with_capacity(MAX);
        let mut values: Vec<MaybeUninit<V>> = Vec::with_capacity(MAX);
        // Where the next call goes on: the number of a hash's bucket, or a trie's last key.
        let (mut from, mut to) = ([0u8; POSITION], [0u8; POSITION]);
        const { assert!(size_of::<K>() <= POSITION, "a key is the longest position there is") };
        let mut is_first = true;
        loop {
            let mut batch = Batch {
                in_batch: if is_first { 0 } else { from.as_mut_ptr() as u64 },
                out_batch: to.as_mut_ptr() as u64,
                keys: keys.as_mut_ptr() as u64,
                values: values.as_mut_ptr() as u64,
                count: MAX as u32,
                map_fd: self.map.as_raw_fd().cast_unsigned(),
                ..Batch::default()
            };
            // SAFETY: there is room for `MAX` keys and values of the map's own types, and for a position; the kernel writes at most as many
            // as `count` says, and into it how many.
            let result = unsafe { libc::syscall(libc::SYS_bpf, LOOKUP, &raw mut batch, size_of::<Batch>()) };
            // That nothing is left is told as an error, beside the last elements.
            let is_last = result != 0;
            if is_last {
                let error = io::Error::last_os_error();
                if error.raw_os_error() != Some(libc::ENOENT) {
                    return Err(error);
                }
            }
            let count = (batch.count as usize).min(MAX);
            // SAFETY: within the capacity, and of elements that need no initialisation to exist.
            unsafe {
                keys.set_len(count);
                values.set_len(count);
            }
            for (key, value) in keys.drain(..).zip(values.drain(..)) {
                // SAFETY: the kernel has written the first `count` of each.
                unsafe { each(key.assume_init(), value.assume_init()) };
            }
            if is_last {
                return Ok(());
            }
            (from, is_first) = (to, false);
        }
    }

    fn change(&self, command: libc::c_long, keys: u64, values: u64, count: usize) -> Result<(), Halt> {
        if count == 0 {
            return Ok(());
        }
        let mut batch = Batch {
            keys,
            values,
            count: count as u32,
            map_fd: self.map.as_raw_fd().cast_unsigned(),
            ..Batch::default()
        };
        // SAFETY: keys and values are slices of plain data of the map's own types, with at least `count` elements; the kernel reads them,
        // and writes nothing but `count`. Their sizes are the map's, as was
        // checked when it was opened.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut batch, size_of::<Batch>()) };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // An error before the first element leaves the count as it was given.
        let done = match error.raw_os_error() {
            Some(libc::E2BIG | libc::ENOENT | libc::ENOSPC | libc::ENOMEM) => (batch.count as usize).min(count - 1),
            _ => 0,
        };
        Err(Halt { done, error })
    }
}
