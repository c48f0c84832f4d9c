//! What the kernel's sets hold, as it is asked for and told.

use std::ffi::{CStr, c_char};
use std::net::IpAddr;
use std::ptr::slice_from_raw_parts;
use std::time::{Duration, Instant};

use nftnl_sys::libc;

use super::element::octets;
use super::knock::{self, Knock};
use super::{Count, INET, TABLE, allocated, kind, request, whole_message};

/// An element that the kernel has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The address; of an interval the first.
    pub address: IpAddr,
    /// The time that is left to it, if it ends by itself.
    pub left: Option<Duration>,
    /// What it has counted, where it does.
    pub count: Count,
}

impl Found {
    /// The time that was left to it at `begin`, where it has just been told.
    pub fn left_at(&self, begin: Instant) -> Option<Duration> {
        self.left.map(|left| left.saturating_add(begin.elapsed()))
    }

    /// What it says as an element of a set that packets enter by themselves.
    pub fn knock(&self) -> Option<Knock> {
        Knock::read(self.count, self.left?)
    }
}

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

    /// The elements in one of the kernel's answers.
    pub fn parse(answer: &[u8]) -> Vec<Found> {
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

/// The message that asks the kernel for one element of a set: written once, and changed for each.
pub struct One {
    message: Vec<u8>,
    key: usize,
}

impl One {
    /// For elements of the family of this address.
    pub fn of(set: &CStr, address: &IpAddr) -> Self {
        let kind = libc::NFT_MSG_GETSETELEM as u16;
        let key = octets(address);
        // SAFETY: the buffer has room for the largest message, and this one holds two names and a key. The set copies what it is given,
        // and is freed here with its element.
        let message = request(|buf| unsafe {
            let set_object = allocated(nftnl_sys::nftnl_set_alloc());
            nftnl_sys::nftnl_set_set_str(set_object, nftnl_sys::NFTNL_SET_TABLE as u16, TABLE.as_ptr());
            nftnl_sys::nftnl_set_set_str(set_object, nftnl_sys::NFTNL_SET_NAME as u16, set.as_ptr());
            let element = allocated(nftnl_sys::nftnl_set_elem_alloc());
            let attribute = nftnl_sys::NFTNL_SET_ELEM_KEY as u16;
            nftnl_sys::nftnl_set_elem_set(element, attribute, key.as_ptr().cast(), key.len() as u32);
            nftnl_sys::nftnl_set_elem_add(set_object, element);
            let header = nftnl_sys::nftnl_nlmsg_build_hdr(buf.cast::<c_char>(), kind, INET, 0, 1);
            nftnl_sys::nftnl_set_elems_nlmsg_build_payload(header, set_object);
            nftnl_sys::nftnl_set_free(set_object);
            (*header).nlmsg_len
        });
        let key = message.len().saturating_sub(key.len());
        Self { message, key }
    }

    /// Writes the message behind others. The answer is one of [`Elements`], or a refusal if there is no such element.
    pub fn write(&mut self, address: &IpAddr, to: &mut Vec<u8>) {
        // The key is the last of the message, and whole words long.
        for (byte, of) in self.message.iter_mut().skip(self.key).zip(octets(address)) {
            *byte = of;
        }
        to.extend_from_slice(&self.message);
    }
}

/// Reads an element.
///
/// # Safety
///
/// It must be alive.
unsafe fn read(element: *mut nftnl_sys::nftnl_set_elem) -> Option<Found> {
    let expiration = nftnl_sys::NFTNL_SET_ELEM_EXPIRATION as u16;
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
            is_set(expiration).then(|| Duration::from_millis(nftnl_sys::nftnl_set_elem_get_u64(element, expiration)));
        Some(Found {
            address,
            left,
            count: knock::count(element),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_s_key_is_its_end() {
        for (first, other) in [("192.0.2.7", "198.51.100.9"), ("2001:db8::7", "ff02::1")] {
            let (first, other): (IpAddr, IpAddr) = (first.parse().unwrap(), other.parse().unwrap());
            let mut question = One::of(c"jail-a-ipv4", &first);
            assert!(question.message.ends_with(&octets(&first)));
            assert_eq!(question.message.len() % 4, 0);
            let mut written = Vec::new();
            question.write(&other, &mut written);
            assert_eq!(written, One::of(c"jail-a-ipv4", &other).message);
        }
    }
}
