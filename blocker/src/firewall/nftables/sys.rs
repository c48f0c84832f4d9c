//! What nftnl's safe interface has no word for, through libnftnl's own: sets whose elements expire, come with
//! packets or are intervals, those elements, named counters, IPv6 fragments. All unsafe code of this firewall is in here.
#![expect(
    unsafe_code,
    reason = "libnftnl is a C library, and the safe wrapper covers only a part of it"
)]

mod element;
mod held;
mod knock;

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use nftnl::expr::Expression;
use nftnl::{MsgType, NlMsg, Rule, nft_nlmsg_maxsize};
use nftnl_sys::libc::{self, nlmsghdr};

pub use self::element::{AllElements, Element, Holds, NewElements, Role, let_hold};
pub use self::held::{Elements, Found, One};
pub use self::knock::{Enter, Knock};
use super::names::TABLE;

const ACK: u16 = libc::NLM_F_ACK as u16;
const CREATE: u16 = libc::NLM_F_CREATE as u16;
const EXCLUSIVE: u16 = libc::NLM_F_EXCL as u16;
const INET: u16 = libc::NFPROTO_INET as u16;
/// The kernel's `NFNL_SUBSYS_NFTABLES`.
const NF_TABLES: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
/// The kernel's `NFT_OBJECT_COUNTER`.
const COUNTER: u32 = 1;

/// A message that tells its number once it is written, and asks for an acknowledgement only if it is to.
pub struct Numbered<'a, M> {
    /// The message.
    pub message: &'a M,
    /// Whether the kernel is to acknowledge it.
    pub acknowledged: bool,
    /// Where the number goes.
    pub number: &'a Cell<u32>,
}

// SAFETY: it writes what the message within writes, and no more.
unsafe impl<M: NlMsg> NlMsg for Numbered<'_, M> {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, msg_type: MsgType) {
        // SAFETY: the caller answers for the buffer.
        unsafe { self.message.write(buf, seq, msg_type) };
        self.number.set(seq);
        if !self.acknowledged {
            // SAFETY: a message starts with this header, and libnftnl has just written it there as this type.
            unsafe { (*buf.cast::<nlmsghdr>()).nlmsg_flags &= !ACK };
        }
    }
}

/// In a rule: the two bytes with an IPv6 fragment's offset and flags, wherever its fragment header is. No packet without
/// one gets any further in the rule.
pub struct Ipv6FragmentOffset;

impl Expression for Ipv6FragmentOffset {
    fn to_expr(&self, _rule: &Rule<'_>) -> NonNull<nftnl_sys::nftnl_expr> {
        // SAFETY: the expression holds numbers only; the rule that asked for it takes it over.
        unsafe {
            let field = allocated(nftnl_sys::nftnl_expr_alloc(c"exthdr".as_ptr()));
            let header = libc::IPPROTO_FRAGMENT as u8;
            nftnl_sys::nftnl_expr_set_u8(field, nftnl_sys::NFTNL_EXPR_EXTHDR_TYPE as u16, header);
            nftnl_sys::nftnl_expr_set_u32(field, nftnl_sys::NFTNL_EXPR_EXTHDR_OFFSET as u16, 2);
            nftnl_sys::nftnl_expr_set_u32(field, nftnl_sys::NFTNL_EXPR_EXTHDR_LEN as u16, 2);
            let register = libc::NFT_REG_1 as u32;
            nftnl_sys::nftnl_expr_set_u32(field, nftnl_sys::NFTNL_EXPR_EXTHDR_DREG as u16, register);
            NonNull::new_unchecked(field)
        }
    }
}

/// A counter with a name, which several rules may share.
pub struct Counter<'a> {
    /// The name.
    pub name: &'a CStr,
    /// From where it counts on, when it is added.
    pub start: Count,
}

/// A counter's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, from the IP header on.
    pub bytes: u64,
}

impl<'a> Counter<'a> {
    /// The counter of this name, which counts from nothing.
    pub fn of(name: &'a CStr) -> Self {
        Self {
            name,
            start: Count::default(),
        }
    }

    /// The message that asks the kernel for the counter's values.
    pub fn request(&self) -> Vec<u8> {
        // SAFETY: the buffer has room for the largest message.
        request(|buf| unsafe { self.build(buf, libc::NFT_MSG_GETOBJ, 0, 1) })
    }

    /// The values in the kernel's answer.
    pub fn parse(answer: &[u8]) -> Option<Count> {
        let words = whole_message(answer)?;
        let (packets, bytes) = (
            nftnl_sys::NFTNL_OBJ_CTR_PKTS as u16,
            nftnl_sys::NFTNL_OBJ_CTR_BYTES as u16,
        );
        // SAFETY: a whole message lies in the buffer, aligned. The object is freed here. Its values are read only when
        // it is known to be a counter, since other kinds of object use the same numbers for other values.
        unsafe {
            let object = allocated(nftnl_sys::nftnl_obj_alloc());
            let parsed = nftnl_sys::nftnl_obj_nlmsg_parse(words.as_ptr().cast(), object) >= 0;
            let kind = nftnl_sys::NFTNL_OBJ_TYPE as u16;
            let is_counter = parsed
                && nftnl_sys::nftnl_obj_is_set(object, kind)
                && nftnl_sys::nftnl_obj_get_u32(object, kind) == COUNTER
                && nftnl_sys::nftnl_obj_is_set(object, packets)
                && nftnl_sys::nftnl_obj_is_set(object, bytes);
            let count = is_counter.then(|| Count {
                packets: nftnl_sys::nftnl_obj_get_u64(object, packets),
                bytes: nftnl_sys::nftnl_obj_get_u64(object, bytes),
            });
            nftnl_sys::nftnl_obj_free(object);
            count
        }
    }

    /// Writes a message about the counter and returns its length.
    ///
    /// # Safety
    ///
    /// The buffer must have room for the largest message.
    unsafe fn build(&self, buf: *mut c_void, kind: libc::c_int, flags: u16, seq: u32) -> u32 {
        // SAFETY: the caller answers for the buffer. The object copies what it is given and is freed here.
        unsafe {
            let object = allocated(nftnl_sys::nftnl_obj_alloc());
            nftnl_sys::nftnl_obj_set_str(object, nftnl_sys::NFTNL_OBJ_TABLE as u16, TABLE.as_ptr());
            nftnl_sys::nftnl_obj_set_str(object, nftnl_sys::NFTNL_OBJ_NAME as u16, self.name.as_ptr());
            nftnl_sys::nftnl_obj_set_u32(object, nftnl_sys::NFTNL_OBJ_TYPE as u16, COUNTER);
            if self.start != Count::default() {
                let (packets, bytes) = (nftnl_sys::NFTNL_OBJ_CTR_PKTS, nftnl_sys::NFTNL_OBJ_CTR_BYTES);
                nftnl_sys::nftnl_obj_set_u64(object, packets as u16, self.start.packets);
                nftnl_sys::nftnl_obj_set_u64(object, bytes as u16, self.start.bytes);
            }
            let header = nftnl_sys::nftnl_nlmsg_build_hdr(buf.cast::<c_char>(), kind as u16, INET, flags, seq);
            nftnl_sys::nftnl_obj_nlmsg_build_payload(header, object);
            nftnl_sys::nftnl_obj_free(object);
            (*header).nlmsg_len
        }
    }
}

// SAFETY: the message holds two names and two numbers, far less than the largest message.
unsafe impl NlMsg for Counter<'_> {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, msg_type: MsgType) {
        let (kind, flags) = match msg_type {
            MsgType::Add => (libc::NFT_MSG_NEWOBJ, ACK | CREATE),
            MsgType::Del => (libc::NFT_MSG_DELOBJ, ACK),
        };
        // SAFETY: the caller answers for the buffer.
        unsafe { self.build(buf, kind, flags, seq) };
    }
}

/// In a rule: counts the packet.
impl Expression for Counter<'_> {
    fn to_expr(&self, _rule: &Rule<'_>) -> NonNull<nftnl_sys::nftnl_expr> {
        // SAFETY: the expression copies what it is given; the rule that asked for it takes it over.
        unsafe {
            let reference = allocated(nftnl_sys::nftnl_expr_alloc(c"objref".as_ptr()));
            nftnl_sys::nftnl_expr_set_u32(reference, nftnl_sys::NFTNL_EXPR_OBJREF_IMM_TYPE as u16, COUNTER);
            let attribute = nftnl_sys::NFTNL_EXPR_OBJREF_IMM_NAME as u16;
            nftnl_sys::nftnl_expr_set_str(reference, attribute, self.name.as_ptr());
            NonNull::new_unchecked(reference)
        }
    }
}

/// The message that asks the kernel for all rules of the table.
pub fn rules_request() -> Vec<u8> {
    let (kind, flags) = (libc::NFT_MSG_GETRULE as u16, libc::NLM_F_DUMP as u16);
    // SAFETY: the buffer has room for the largest message, and this one holds a name. The rule copies it and is freed here.
    request(|buf| unsafe {
        let rule = allocated(nftnl_sys::nftnl_rule_alloc());
        nftnl_sys::nftnl_rule_set_str(rule, nftnl_sys::NFTNL_RULE_TABLE as u16, TABLE.as_ptr());
        let header = nftnl_sys::nftnl_nlmsg_build_hdr(buf.cast::<c_char>(), kind, INET, flags, 1);
        nftnl_sys::nftnl_rule_nlmsg_build_payload(header, rule);
        nftnl_sys::nftnl_rule_free(rule);
        (*header).nlmsg_len
    })
}

/// What a rule is, as one of the kernel's answers has it: where it is, its number, and what it does.
pub fn rule(answer: &[u8]) -> Option<&[u8]> {
    // Behind the header of netlink and that of netfilter, which counts the changes of all tables.
    (kind(answer) == Some(libc::NFT_MSG_NEWRULE))
        .then(|| answer.get(20..))
        .flatten()
}

/// The message that asks the kernel for the table itself.
pub fn table_request() -> Vec<u8> {
    let (kind, flags) = (libc::NFT_MSG_GETTABLE as u16, libc::NLM_F_ACK as u16);
    // SAFETY: the buffer has room for the largest message, and this one holds a name. The table copies it and is freed here.
    request(|buf| unsafe {
        let table = allocated(nftnl_sys::nftnl_table_alloc());
        nftnl_sys::nftnl_table_set_str(table, nftnl_sys::NFTNL_TABLE_NAME as u16, TABLE.as_ptr());
        let header = nftnl_sys::nftnl_nlmsg_build_hdr(buf.cast::<c_char>(), kind, INET, flags, 1);
        nftnl_sys::nftnl_table_nlmsg_build_payload(header, table);
        nftnl_sys::nftnl_table_free(table);
        (*header).nlmsg_len
    })
}

/// The flags of the table that one of the kernel's answers tells of: 1 where it sleeps (`NFT_TABLE_F_DORMANT`).
pub fn table_flags(answer: &[u8]) -> Option<u32> {
    if kind(answer) != Some(libc::NFT_MSG_NEWTABLE) {
        return None;
    }
    let words = whole_message(answer)?;
    // SAFETY: a whole message lies in the buffer, aligned. The table is freed here.
    unsafe {
        let table = allocated(nftnl_sys::nftnl_table_alloc());
        let is_read = nftnl_sys::nftnl_table_nlmsg_parse(words.as_ptr().cast(), table) >= 0;
        let flags = is_read.then(|| nftnl_sys::nftnl_table_get_u32(table, nftnl_sys::NFTNL_TABLE_FLAGS as u16));
        nftnl_sys::nftnl_table_free(table);
        flags
    }
}

/// What a message of nf_tables is about; none where it is of another subsystem or of netlink itself.
fn kind(answer: &[u8]) -> Option<libc::c_int> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    (kind >> 8 == NF_TABLES).then_some((kind & 0xff).into())
}

/// A message of its own, which `build` writes; it returns the length.
fn request(build: impl FnOnce(*mut c_void) -> u32) -> Vec<u8> {
    // In words of four bytes: a netlink message is aligned so.
    let mut words = vec![0u32; (nft_nlmsg_maxsize() as usize).div_ceil(4)];
    let length = build(words.as_mut_ptr().cast());
    let bytes = words.into_iter().flat_map(u32::to_ne_bytes);
    bytes.take(length as usize).collect()
}

/// A message from the kernel, aligned, if it is as long as it says.
fn whole_message(answer: &[u8]) -> Option<Vec<u32>> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 4];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        u32::from_ne_bytes(word)
    };
    let words: Vec<u32> = answer.chunks(4).map(word).collect();
    // Its own length must not lead beyond its end; 20 bytes are the netlink and the netfilter header.
    (answer.len() >= 20 && *words.first()? as usize == answer.len()).then_some(words)
}

/// The pointer, or the end of a process that has no memory left, as with any other allocation.
fn allocated<T>(pointer: *mut T) -> *mut T {
    if pointer.is_null() {
        handle_alloc_error(Layout::new::<[u64; 64]>());
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_whole_message() {
        let request = Counter::of(c"jail-a-ipv4-dropped").request();
        assert_eq!(request[..4], u32::try_from(request.len()).unwrap().to_ne_bytes());
        assert!(request.windows(19).any(|window| window == b"jail-a-ipv4-dropped"));
    }

    #[test]
    fn what_is_no_counter_is_not_parsed() {
        let request = Counter::of(c"jail-a-ipv4-dropped").request();
        assert_eq!(Counter::parse(&request), None, "it has no values");
        for length in 0..request.len() {
            assert_eq!(Counter::parse(&request[..length]), None);
        }
    }
}
