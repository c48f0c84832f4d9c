//! What the kernel's sets hold.

use std::ffi::{CStr, c_char};
use std::net::IpAddr;
use std::ptr::slice_from_raw_parts;
use std::time::Duration;

use nftnl_sys::libc;

use super::{INET, TABLE, allocated, kind, request, whole_message};

/// All elements of a set.
pub struct Elements<'a> {
    /// The set's name.
    pub set: &'a CStr,
}

impl Elements<'_> {
    /// The message that asks the kernel for them.
    pub fn request(&self) -> Vec<u8> {
        let (kind, flags) = (libc::NFT_MSG_GETSETELEM as u16, libc::NLM_F_DUMP as u16);
        // SAFETY: the buffer has room for the largest message, and this one holds two names. The set copies what it is given and is
        // freed here.
        request(|buf| unsafe {
            let set = allocated(nftnl_sys::nftnl_set_alloc());
            nftnl_sys::nftnl_set_set_str(set, nftnl_sys::NFTNL_SET_TABLE as u16, TABLE.as_ptr());
            nftnl_sys::nftnl_set_set_str(set, nftnl_sys::NFTNL_SET_NAME as u16, self.set.as_ptr());
            let header = nftnl_sys::nftnl_nlmsg_build_hdr(buf.cast::<c_char>(), kind, INET, flags, 1);
            nftnl_sys::nftnl_set_elems_nlmsg_build_payload(header, set);
            nftnl_sys::nftnl_set_free(set);
            (*header).nlmsg_len
        })
    }

    /// The addresses in one of the kernel's answers, of intervals the first ones, each with the time that is left to it, if it ends by itself.
    pub fn parse(answer: &[u8]) -> Vec<(IpAddr, Option<Duration>)> {
        let mut found = Vec::new();
        if kind(answer) != Some(libc::NFT_MSG_NEWSETELEM) {
            return found;
        }
        let Some(words) = whole_message(answer) else {
            return found;
        };
        // SAFETY: a whole message lies in the buffer, aligned. The set and the iterator are freed here, and elements are looked at
        // while they live.
        unsafe {
            let set = allocated(nftnl_sys::nftnl_set_alloc());
            if nftnl_sys::nftnl_set_elems_nlmsg_parse(words.as_ptr().cast(), set) >= 0 {
                let elements = allocated(nftnl_sys::nftnl_set_elems_iter_create(set));
                loop {
                    let element = nftnl_sys::nftnl_set_elems_iter_next(elements);
                    if element.is_null() {
                        break;
                    }
                    found.extend(read(element));
                }
                nftnl_sys::nftnl_set_elems_iter_destroy(elements);
            }
            nftnl_sys::nftnl_set_free(set);
        }
        found
    }
}

/// Reads an element.
///
/// # Safety
///
/// It must be alive.
unsafe fn read(element: *mut nftnl_sys::nftnl_set_elem) -> Option<(IpAddr, Option<Duration>)> {
    let (timeout, expiration) = (
        nftnl_sys::NFTNL_SET_ELEM_TIMEOUT as u16,
        nftnl_sys::NFTNL_SET_ELEM_EXPIRATION as u16,
    );
    let flags = nftnl_sys::NFTNL_SET_ELEM_FLAGS as u16;
    let mut len = 0;
    // SAFETY: the caller answers for the element. The key is as long as is said, and is copied at once.
    unsafe {
        let is_set = |attribute| nftnl_sys::nftnl_set_elem_is_set(element, attribute);
        if is_set(flags)
            && nftnl_sys::nftnl_set_elem_get_u32(element, flags) & libc::NFT_SET_ELEM_INTERVAL_END as u32 != 0
        {
            return None;
        }
        let key = nftnl_sys::nftnl_set_elem_get(element, nftnl_sys::NFTNL_SET_ELEM_KEY as u16, &raw mut len);
        if key.is_null() {
            return None;
        }
        let key = &*slice_from_raw_parts(key.cast::<u8>(), len as usize);
        let address = match key.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(key).ok()?),
            16 => IpAddr::from(<[u8; 16]>::try_from(key).ok()?),
            _ => return None,
        };
        let left =
            is_set(timeout).then(|| Duration::from_millis(nftnl_sys::nftnl_set_elem_get_u64(element, expiration)));
        Some((address, left))
    }
}
