//! The interfaces that lead to the rest of the world.

use std::fs;

/// The names of the interfaces with a default route of either IP version, in the network namespace of the calling thread.
#[must_use]
pub fn with_default_route() -> Vec<String> {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let mut names = ipv4(&read("/proc/thread-self/net/route"));
    names.extend(ipv6(&read("/proc/thread-self/net/ipv6_route")));
    names.sort();
    names.dedup();
    names
}

/// <https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html> and its neighbours do not describe these two files; the
/// columns are those of `fib_route_seq_show` in the kernel.
fn ipv4(table: &str) -> Vec<String> {
    let default = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [name, destination, .., mask, _mtu, _window, _irtt] = columns.as_slice() else {
            return None;
        };
        // 0.0.0.0/1 begins with zeros too; only the mask tells.
        (*destination == "00000000" && *mask == "00000000").then(|| (*name).to_owned())
    };
    table.lines().filter_map(default).collect()
}

/// The columns are those of `rt6_info_route` in the kernel. Its route of last resort, which rejects, is one of `lo`.
fn ipv6(table: &str) -> Vec<String> {
    let default = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [destination, prefix_len, .., name] = columns.as_slice() else {
            return None;
        };
        let default = *prefix_len == "00" && destination.bytes().all(|byte| byte == b'0');
        (default && *name != "lo").then(|| (*name).to_owned())
    };
    table.lines().filter_map(default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_default_routes_count() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     tun0\t00000000\t0100000A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
                     eth1\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(ipv4(table), ["eth0"]);
        let zeros = "0".repeat(32);
        let table = format!(
            "20010db8000000000000000000000000 40 {zeros} 00 {zeros} 00000100 00000001 00000000 00000001 eth1\n\
             {zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
             {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo\n"
        );
        assert_eq!(ipv6(&table), ["eth0"]);
        assert_eq!(ipv6("garbage\n\n"), Vec::<String>::new());
    }
}
