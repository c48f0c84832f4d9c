//! Sets, and what is put into them.

use std::ffi::{CStr, c_char, c_void};
use std::net::IpAddr;
use std::time::Duration;

use nftnl::set::Set;
use nftnl::{MsgType, NlMsg};
use nftnl_sys::libc;

use super::knock::{self, Knock};
use super::{ACK, CREATE, EXCLUSIVE, INET, TABLE, allocated};

/// What a set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Single keys, each of which may carry a timeout.
    Expiring,
    /// Sources that packets enter by themselves.
    Knocks,
    /// Intervals that do not touch: an element for the first key, and one for the first key behind.
    Intervals,
}

/// Makes it a set that holds these.
pub fn let_hold<K>(set: &mut Set<'_, K>, holds: Holds) {
    let set = set.as_ptr().as_ptr();
    let flags = match holds {
        Holds::Expiring => libc::NFT_SET_TIMEOUT,
        Holds::Knocks => libc::NFT_SET_TIMEOUT | libc::NFT_SET_EVAL,
        Holds::Intervals => libc::NFT_SET_INTERVAL,
    };
    // SAFETY: the set is alive and not shared.
    unsafe {
        nftnl_sys::nftnl_set_set_u32(set, nftnl_sys::NFTNL_SET_FLAGS as u16, flags as u32);
        if holds == Holds::Knocks {
            let kept = knock::KEPT.as_millis() as u64;
            nftnl_sys::nftnl_set_set_u64(set, nftnl_sys::NFTNL_SET_TIMEOUT as u16, kept);
            nftnl_sys::nftnl_set_set_u32(set, nftnl_sys::NFTNL_SET_DESC_SIZE as u16, knock::MOST);
        }
    }
}

/// An address in a set. Adding one that is there already is no error; removing one that is not there is.
pub struct Element<'a> {
    /// The set's name.
    pub set: &'a CStr,
    /// The address.
    pub address: IpAddr,
    /// What it says of the address.
    pub role: Role,
}

/// What an element says of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is in the set, or the first of an interval that is.
    Member,
    /// It is in the set until the kernel takes it out after this time.
    MemberFor(Duration),
    /// It is the first behind an interval.
    Behind,
    /// Packets have come from it, and those that come are added.
    Knocked(Knock),
}

// SAFETY: the message holds one element with two numbers at most, and two names, far less than the largest message.
unsafe impl NlMsg for Element<'_> {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, msg_type: MsgType) {
        let (kind, flags) = match msg_type {
            MsgType::Add => (libc::NFT_MSG_NEWSETELEM, ACK | CREATE),
            MsgType::Del => (libc::NFT_MSG_DELSETELEM, ACK),
        };
        // SAFETY: the caller answers for the buffer.
        unsafe { build(buf, (kind as u16, flags, seq), self.set, &[(self.address, self.role)]) };
    }
}

/// Addresses that come into a set together. That one is there already is an error. They can only be added.
pub struct NewElements<'a> {
    set: &'a CStr,
    elements: &'a [(IpAddr, Role)],
}

impl<'a> NewElements<'a> {
    /// As many as a message has room for, of the longest: the kernel gives a list of them 64 KiB, and one takes no more than 120 bytes.
    const MOST: usize = 400;

    /// Messages that bring all these into the set of this name.
    pub fn of(set: &'a CStr, elements: &'a [(IpAddr, Role)]) -> impl Iterator<Item = Self> {
        elements.chunks(Self::MOST).map(move |elements| Self { set, elements })
    }
}

// SAFETY: the message holds two names and no more elements than there is room for: it is made by `of`.
unsafe impl NlMsg for NewElements<'_> {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, _msg_type: MsgType) {
        let header = (libc::NFT_MSG_NEWSETELEM as u16, ACK | CREATE | EXCLUSIVE, seq);
        // SAFETY: the caller answers for the buffer.
        unsafe { build(buf, header, self.set, self.elements) };
    }
}

/// Writes a message of this kind, with these flags and this number, about elements of a set.
///
/// # Safety
///
/// The buffer must have room for the largest message, and that for the elements.
unsafe fn build(buf: *mut c_void, (kind, flags, seq): (u16, u16, u32), set: &CStr, elements: &[(IpAddr, Role)]) {
    // SAFETY: the caller answers for the buffer. The set is freed here and takes its elements along; all copy what they are given.
    unsafe {
        let of = allocated(nftnl_sys::nftnl_set_alloc());
        nftnl_sys::nftnl_set_set_str(of, nftnl_sys::NFTNL_SET_TABLE as u16, TABLE.as_ptr());
        nftnl_sys::nftnl_set_set_str(of, nftnl_sys::NFTNL_SET_NAME as u16, set.as_ptr());
        for (address, role) in elements {
            nftnl_sys::nftnl_set_elem_add(of, element(address, *role));
        }
        let header = nftnl_sys::nftnl_nlmsg_build_hdr(buf.cast::<c_char>(), kind, INET, flags, seq);
        nftnl_sys::nftnl_set_elems_nlmsg_build_payload(header, of);
        nftnl_sys::nftnl_set_free(of);
    }
}

/// An element, which whoever takes it has to free.
fn element(address: &IpAddr, role: Role) -> *mut nftnl_sys::nftnl_set_elem {
    let key = octets(address);
    // SAFETY: the element copies what it is given, but for the counter, which it takes over.
    unsafe {
        let element = allocated(nftnl_sys::nftnl_set_elem_alloc());
        let attribute = nftnl_sys::NFTNL_SET_ELEM_KEY as u16;
        nftnl_sys::nftnl_set_elem_set(element, attribute, key.as_ptr().cast(), key.len() as u32);
        match role {
            Role::Member => {}
            Role::MemberFor(timeout) => {
                let attribute = nftnl_sys::NFTNL_SET_ELEM_TIMEOUT as u16;
                nftnl_sys::nftnl_set_elem_set_u64(element, attribute, timeout.as_millis() as u64);
            }
            Role::Behind => {
                let attribute = nftnl_sys::NFTNL_SET_ELEM_FLAGS as u16;
                let flags = libc::NFT_SET_ELEM_INTERVAL_END as u32;
                nftnl_sys::nftnl_set_elem_set_u32(element, attribute, flags);
            }
            Role::Knocked(knock) => {
                let attribute = nftnl_sys::NFTNL_SET_ELEM_EXPIRATION as u16;
                nftnl_sys::nftnl_set_elem_set_u64(element, attribute, knock.left().as_millis() as u64);
                nftnl_sys::nftnl_set_elem_add_expr(element, knock::counter(knock.count));
            }
        }
        element
    }
}

/// All elements of a set, whatever they are. They can only be removed, and it is no error when there are none.
pub struct AllElements<'a> {
    /// The set's name.
    pub set: &'a CStr,
}

// SAFETY: the message holds two names, far less than the largest message.
unsafe impl NlMsg for AllElements<'_> {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, _msg_type: MsgType) {
        let kind = libc::NFT_MSG_DELSETELEM as u16;
        // SAFETY: the caller answers for the buffer. The set is freed here and copies what it is given.
        unsafe {
            let set = allocated(nftnl_sys::nftnl_set_alloc());
            nftnl_sys::nftnl_set_set_str(set, nftnl_sys::NFTNL_SET_TABLE as u16, TABLE.as_ptr());
            nftnl_sys::nftnl_set_set_str(set, nftnl_sys::NFTNL_SET_NAME as u16, self.set.as_ptr());
            let header = nftnl_sys::nftnl_nlmsg_build_hdr(buf.cast::<c_char>(), kind, INET, ACK, seq);
            nftnl_sys::nftnl_set_elems_nlmsg_build_payload(header, set);
            nftnl_sys::nftnl_set_free(set);
        }
    }
}

/// An address as a key.
pub(super) fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
