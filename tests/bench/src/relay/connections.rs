//! The connections that a host has on a port, as the kernel lists them.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::Result;
use blocker_lab::Namespace;

/// The calling thread's, wherever its process is.
const LIST: &str = "/proc/thread-self/net/tcp";
/// As the kernel writes the state of a connection on which both may still speak.
const ESTABLISHED: &str = "01";
const PORT: u16 = 25;

/// The other ends of the connections to a host's Postfix on which it still waits for words.
pub(super) fn of(host: &Namespace) -> Result<Vec<Ipv4Addr>> {
    let list = host.enter(|| fs::read_to_string(LIST))??;
    Ok(established(&list, PORT))
}

/// The other ends of established connections with this port at our end.
fn established(list: &str, port: u16) -> Vec<Ipv4Addr> {
    let of = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (_, ours) = words.next()?.split_once(':')?;
        let (theirs, _) = words.next()?.split_once(':')?;
        let is_it = u16::from_str_radix(ours, 16).ok()? == port && words.next()? == ESTABLISHED;
        // The address as the machine has it in memory.
        let address = u32::from_str_radix(theirs, 16).ok()?.to_ne_bytes();
        is_it.then(|| Ipv4Addr::from(address))
    };
    list.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn established_connections_of_the_port_are_found() {
        let list = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                    \x20  0: 00000000:0019 00000000:0000 0A 00000000:00000000\n\
                    \x20  1: 016433C6:0019 146433C6:9C40 01 00000000:00000000\n\
                    \x20  2: 016433C6:0019 156433C6:9C41 06 00000000:00000000\n\
                    \x20  3: 0100007F:2FF8 0100007F:0019 01 00000000:00000000\n";
        assert_eq!(established(list, 25), [Ipv4Addr::new(198, 51, 100, 20)]);
        assert!(established("", 25).is_empty());
    }
}
