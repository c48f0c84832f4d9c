//! A hash like the one that holds IPv4 bans, and nothing but the system call that fills it.
#![expect(unsafe_code, reason = "system calls that take pointers")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use blocker_common::map::{Ban, DEFAULT_HOSTS};
use nix::libc;

/// Numbers of `enum bpf_cmd` and `enum bpf_map_type` in `linux/bpf.h`.
const CREATE: libc::c_long = 0;
const UPDATE_BATCH: libc::c_long = 26;
const HASH: u32 = 1;
/// As many as blocker hands on at a time.
const BATCH: usize = 4096;

/// The part of `union bpf_attr` that makes a map.
#[repr(C)]
struct Create {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
}

/// Its `batch` part.
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

/// The map.
pub(super) struct BareMap(OwnedFd);

impl BareMap {
    pub(super) fn new() -> Result<Self> {
        let mut attributes = Create {
            map_type: HASH,
            key_size: 4,
            value_size: size_of::<Ban>() as u32,
            max_entries: DEFAULT_HOSTS as u32,
            map_flags: 0,
        };
        // SAFETY: the attributes are read, and what is returned is a descriptor of our own.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, CREATE, &raw mut attributes, size_of::<Create>()) };
        if fd < 0 {
            return Err(io::Error::last_os_error()).context("the kernel refused a map");
        }
        // SAFETY: the kernel has just opened it for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Has it hold a value for each key.
    pub(super) fn fill(&self, keys: &[[u8; 4]], values: &[Ban]) -> Result<()> {
        for (keys, values) in keys.chunks(BATCH).zip(values.chunks(BATCH)) {
            let mut batch = Batch {
                keys: keys.as_ptr() as u64,
                values: values.as_ptr() as u64,
                count: keys.len().min(values.len()) as u32,
                map_fd: self.0.as_raw_fd().cast_unsigned(),
                ..Batch::default()
            };
            // SAFETY: as many keys and values are read as both slices have, each of the map's own size.
            let result = unsafe { libc::syscall(libc::SYS_bpf, UPDATE_BATCH, &raw mut batch, size_of::<Batch>()) };
            if result != 0 {
                return Err(io::Error::last_os_error()).context("the kernel refused elements");
            }
        }
        Ok(())
    }
}
