//! Why an interface takes no XDP program, in words that say what to do.
//!
//! The driver knows best, and the kernel hands its words on (the extended acknowledgement), but only over netlink and not with a BPF link. So
//! what was refused to a link is asked for once more over netlink, for the answer. Such a request never displaces a program
//! (`XDP_FLAGS_UPDATE_IF_NOEXIST`). Should it be granted, because the interface has changed its mind in the microseconds between the
//! two, the program is taken off at once, and nobody else's can be (`XDP_FLAGS_REPLACE`).

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use aya::programs::loaded_programs;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::libc;

use super::attach::Mode;
use crate::firewall::interfaces::Interface;
use crate::netlink::{Requests, attribute};

/// `RTM_SETLINK` in `linux/rtnetlink.h`.
const SET: u16 = 19;
/// `IFLA_XDP` in `linux/if_link.h`, with the mark of an attribute that holds others.
const XDP: u16 = 43 | (1 << 15);
/// `IFLA_XDP_FD`, `_FLAGS` and `_EXPECTED_FD`.
const FD: u16 = 1;
const FLAGS: u16 = 3;
const EXPECTED_FD: u16 = 8;
/// `XDP_FLAGS_UPDATE_IF_NOEXIST` and `XDP_FLAGS_REPLACE`.
const IF_NONE_EXISTS: u32 = 1;
const REPLACE: u32 = 1 << 4;

/// What the kernel answered to one mode, as in `Peer MTU is too large to set XDP: Numerical result out of range (os error 34); its MTU is
/// 9000: …`.
#[derive(Clone, Debug)]
pub struct Refusal(String);

impl Refusal {
    pub(super) fn new(interface: &Interface, mode: Mode, error: &io::Error, words: Option<&str>) -> Self {
        let mut text = words.map_or_else(String::new, |words| format!("{words}: "));
        text += &error.to_string();
        if let Some(hint) = hint(interface, mode, error.raw_os_error(), words) {
            text += "; ";
            text += &hint;
        }
        Self(text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to do about it, where that is known.
fn hint(interface: &Interface, mode: Mode, error: Option<i32>, words: Option<&str>) -> Option<String> {
    let Interface { name, mtu, .. } = interface;
    let words = words.unwrap_or_default().to_lowercase();
    let is_about = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if is_about(&["gro", "lro"]) {
        return Some(format!(
            "switch it off with `ethtool -K {name} rx-gro-hw off lro off`, and blocker tries again within a minute"
        ));
    }
    if is_about(&["queue", "ring"]) {
        return Some(
            "XDP needs queues of its own: give the machine more (on a virtual machine: twice as many as CPUs), or use fewer with \
             `ethtool -L`"
                .to_owned(),
        );
    }
    let may_be_mtu = words.is_empty() && *mtu > 1500 && matches!(error, Some(libc::ERANGE | libc::EINVAL));
    if is_about(&["mtu", "frame size", "frags", "jumbo"]) || may_be_mtu {
        return Some(format!(
            "its MTU is {mtu}: with a smaller one, as by `ip link set {name} mtu 1500`, the driver may take the program"
        ));
    }
    match error {
        Some(libc::EOPNOTSUPP) if mode == Mode::Driver => Some(format!("the driver {} has no XDP", driver(interface))),
        Some(libc::EPERM | libc::EACCES) => Some("blocker needs CAP_NET_ADMIN and CAP_BPF: run it as root".to_owned()),
        _ => None,
    }
}

/// The driver's name, as `ethtool -i` has it.
fn driver(interface: &Interface) -> String {
    let of_card = || {
        let link = std::fs::read_link(format!("/sys/class/net/{}/device/driver", interface.name)).ok()?;
        Some(link.file_name()?.to_string_lossy().into_owned())
    };
    let driver = interface.kind.clone().or_else(of_card);
    driver.map_or_else(|| "of this interface".to_owned(), |name| format!("`{name}`"))
}

/// What is known of the program that sits on an interface.
pub(super) fn occupant(interface: &Interface) -> String {
    let Some(id) = interface.program else {
        return format!("`ip link show {}` names it", interface.name);
    };
    let named = loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(str::to_owned));
    match named {
        Some(name) if !name.is_empty() => format!("`{name}`, which `bpftool prog show id {id}` describes"),
        _ => format!("`bpftool prog show id {id}` describes it"),
    }
}

/// What the kernel says to attaching this program, which it has just refused.
pub(super) fn words(program: BorrowedFd<'_>, index: u32, mode: Mode) -> Option<String> {
    let mut requests = Requests::open(NETLINK_ROUTE).ok()?;
    let request = request(index, Some(program), mode, IF_NONE_EXISTS, None);
    match requests.carry_out(SET, &request) {
        Err(refused) => refused.words,
        Ok(()) => {
            take_off(program, index, mode);
            None
        }
    }
}

/// Takes this program, and no other, off an interface to which it was attached without a link.
pub(super) fn take_off(program: BorrowedFd<'_>, index: u32, mode: Mode) {
    let request = request(index, None, mode, REPLACE, Some(program));
    let taken = Requests::open(NETLINK_ROUTE)
        .map_err(Into::into)
        .and_then(|mut requests| requests.carry_out(SET, &request));
    if let Err(refused) = taken {
        tracing::error!(
            index,
            error = %refused.error,
            "blocker's XDP program is left on an interface; `ip link set dev NAME xdp off` takes it off"
        );
    }
}

fn request(
    index: u32,
    program: Option<BorrowedFd<'_>>,
    mode: Mode,
    flags: u32,
    expected: Option<BorrowedFd<'_>>,
) -> Vec<u8> {
    let mode = match mode {
        // `XDP_FLAGS_DRV_MODE` and `XDP_FLAGS_SKB_MODE`.
        Mode::Driver => 1u32 << 2,
        Mode::Generic => 1 << 1,
    };
    let descriptor = program.map_or(-1, |program| program.as_raw_fd());
    let mut xdp = attribute(FD, &descriptor.to_ne_bytes());
    xdp.extend(attribute(FLAGS, &(mode | flags).to_ne_bytes()));
    if let Some(expected) = expected {
        xdp.extend(attribute(EXPECTED_FD, &expected.as_raw_fd().to_ne_bytes()));
    }
    // `struct ifinfomsg`: family and type, the index, flags and their mask.
    let mut request = vec![0; 4];
    request.extend(index.to_ne_bytes());
    request.extend([0; 8]);
    request.extend(attribute(XDP, &xdp));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(mtu: u32, errno: i32, words: Option<&str>) -> String {
        let interface = Interface {
            index: 2,
            name: "ens3".to_owned(),
            kind: Some("dummy".to_owned()),
            has_ethernet_headers: true,
            is_up: true,
            mtu,
            program: None,
        };
        let error = io::Error::from_raw_os_error(errno);
        Refusal::new(&interface, Mode::Driver, &error, words).to_string()
    }

    #[test]
    fn a_refusal_says_what_the_kernel_said_and_what_to_do() {
        let cases = [
            (1500, libc::EOPNOTSUPP, None, "the driver `dummy` has no XDP"),
            (9000, libc::ERANGE, None, "its MTU is 9000"),
            (
                9000,
                libc::EINVAL,
                Some("MTU too large w/o XDP frags"),
                "ip link set ens3 mtu 1500",
            ),
            (
                1500,
                libc::EOPNOTSUPP,
                Some("Can't set XDP while host is implementing GRO_HW/CSUM, disable GRO_HW/CSUM first"),
                "ethtool -K ens3 rx-gro-hw off",
            ),
            (
                1500,
                libc::ENOMEM,
                Some("Too few free TX rings available"),
                "ethtool -L",
            ),
            (1500, libc::EPERM, None, "run it as root"),
        ];
        for (mtu, errno, words, part) in cases {
            let text = refusal(mtu, errno, words);
            assert!(
                text.contains(part) && text.contains(words.unwrap_or_default()),
                "{text}"
            );
        }
        assert_eq!(
            refusal(1500, libc::EINVAL, None),
            "Invalid argument (os error 22)",
            "what is not known is not guessed"
        );
    }
}
