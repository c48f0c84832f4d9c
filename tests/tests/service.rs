//! The agent as a service: what it tells the service manager, what it may do, how fast it stops.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::net::IpAddr;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use blocker_lab::network::SPAMMERS;
use blocker_tests::DEADLINE;
use blocker_tests::agent::Agent;
use blocker_tests::relay::Relay;

/// `CAP_DAC_READ_SEARCH`, `CAP_NET_ADMIN`, `CAP_PERFMON` and `CAP_BPF`, by their numbers in `linux/capability.h`.
const CAPABILITIES: u64 = 1 << 2 | 1 << 12 | 1 << 38 | 1 << 39;

/// A service manager's end of the conversation.
struct Manager(UnixDatagram);

impl Manager {
    fn new(relay: &Relay) -> Self {
        let socket = UnixDatagram::bind(relay.lab.folder().join("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    fn hears(&self, expected: &str) {
        let mut told = Vec::new();
        loop {
            let mut datagram = [0; 256];
            let length = self
                .0
                .recv(&mut datagram)
                .unwrap_or_else(|error| panic!("{expected} was not told, but {told:?}: {error}"));
            let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
            if text.lines().any(|line| line == expected) {
                return;
            }
            told.push(text);
        }
    }
}

#[test]
fn the_service_manager_is_told_of_readiness_life_and_end() {
    let relay = Relay::new("3600");
    let manager = Manager::new(&relay);
    let mut command = relay.command("nftables");
    command.env("NOTIFY_SOCKET", relay.lab.folder().join("notify"));
    command.env("WATCHDOG_USEC", "3000000");
    let mut agent = Agent::start(command);
    manager.hears("READY=1");
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    relay.reject(IpAddr::from(SPAMMERS[0]), 2);
    agent.says(&["INFO banned"]);
    agent.stop();
    manager.hears("STOPPING=1");
}

#[test]
fn once_it_runs_no_thread_may_do_more_than_it_needs() {
    for firewall in ["xdp", "nftables"] {
        let relay = Relay::new("3600");
        let mut agent = relay.start(firewall);
        relay.reject(IpAddr::from(SPAMMERS[0]), 2);
        agent.says(&["INFO banned"]);
        let mut threads = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", agent.id())).unwrap() {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            let value = |key: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
                line.trim().to_owned()
            };
            let set = |key| u64::from_str_radix(&value(key), 16).unwrap();
            for key in ["CapEff:", "CapPrm:"] {
                assert_eq!(set(key), CAPABILITIES, "{key} of {status}");
            }
            assert_eq!(set("CapBnd:") & !CAPABILITIES, 0, "{status}");
            assert_eq!((set("CapInh:"), set("CapAmb:")), (0, 0), "{status}");
            assert_eq!(value("NoNewPrivs:"), "1", "{status}");
            threads += 1;
        }
        assert!(threads >= 4, "{threads}");
    }
}

#[test]
fn it_stops_within_two_seconds_under_load() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("xdp");
    for _ in 0..50 {
        relay.reject(IpAddr::from(SPAMMERS[0]), 1000);
    }
    agent.says(&["INFO banned"]);
    let begin = Instant::now();
    let (status, said) = agent.stop();
    assert!(status.success(), "{said}");
    let took = begin.elapsed();
    println!("stopped in {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}
