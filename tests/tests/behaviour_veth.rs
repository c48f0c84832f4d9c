//! The table of behaviour, held against each firewall in place: frames go over a cable between two hosts, and what arrives is
//! counted there, behind the firewall and just before anything else of the kernel's.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use aya::programs::XdpMode;
use blocker::firewall::interfaces::Chosen;
use blocker::firewall::nftables::{Hook, Nftables};
use blocker::firewall::xdp::{Mode, Sizes, Xdp};
use blocker::firewall::{Firewall, JailScope};
use blocker_common::packet::Unparsed;
use blocker_lab::Wire;
use blocker_tests::behaviour::cases::scripts;
use blocker_tests::behaviour::frames::{ip, udp};
use blocker_tests::behaviour::run::{Ground, Seen, run};
use blocker_tests::{eventually, interface, require_root};
use etherparse::IpNumber;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::Value;

const SMALL: Sizes = Sizes {
    addresses: 1000,
    networks: 1000,
};

/// Counts what arrives, right behind blocker's own chain (raw, -300), and before anything could put fragments together: the
/// kernel does so for connection tracking alone, which nobody asks for in this namespace.
const ARRIVALS: &str = "
table inet arrivals {
    counter marker { }
    counter arrived { }
    chain prerouting {
        type filter hook prerouting priority -299; policy accept;
        ip saddr 203.0.113.99 counter name marker accept
        ip daddr 192.0.2.1 counter name arrived
        ip6 daddr 2001:db8:ffff::1 counter name arrived
    }
}
table arp arrivals {
    counter arrived { }
    chain input {
        type filter hook input priority 0; policy accept;
        counter name arrived
    }
}
";

/// What is not at ingress what it is behind it. The kernel has taken one VLAN tag off there and no second, does not know yet which VLANs
/// it is in, and has not cut padding off nor thrown away what is malformed; and IPv6 whose headers end in a later fragment it drops
/// there, whoever sends it.
const OTHERWISE_AT_INGRESS: [&str; 10] = [
    "SYN padded to Ethernet's 60 bytes",
    "behind two VLAN tags",
    "behind two tags of the old kind",
    "a third VLAN tag for the priority alone",
    "in a VLAN that the host is not in",
    "a packet of its header alone",
    "a packet that ends within TCP's ports",
    "a packet of length 0",
    "a fragment header that the packet ends within",
    "later fragment that names options as its protocol",
];

/// Nobody's address in the table.
const MARKER: [u8; 4] = [203, 0, 113, 99];

/// What arrived so far.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Arrivals {
    frames: u64,
    markers: u64,
}

/// A firewall at the receiver's end of a cable.
struct Cable<F> {
    // Dropped in this order: the firewall lets go of its interface before that goes.
    firewall: F,
    wire: Wire,
    arrivals: Arrivals,
    unparsed: fn(&F) -> Vec<(Unparsed, u64)>,
}

impl<F: Firewall> Cable<F> {
    fn new(wire: Wire, firewall: F, unparsed: fn(&F) -> Vec<(Unparsed, u64)>) -> Self {
        // Frames wait on the processor that sent them; only on one and the same do they keep their order.
        let mut first = CpuSet::new();
        first.set(0).unwrap();
        sched_setaffinity(Pid::from_raw(0), &first).unwrap();
        let rules = wire.receiver().command("nft").arg(ARRIVALS).output().unwrap();
        assert!(rules.status.success(), "{}", String::from_utf8_lossy(&rules.stderr));
        let mut cable = Self {
            firewall,
            wire,
            arrivals: Arrivals::default(),
            unparsed,
        };
        cable.mark();
        cable
    }

    /// Sends a frame that nothing stops, and waits for it: whatever was sent before has arrived then, or never will.
    fn mark(&mut self) {
        let marker = ip(MARKER.into(), IpNumber::UDP, &udp(9, &[]));
        self.wire.send(marker.bytes()).unwrap();
        let awaited = self.arrivals.markers + 1;
        eventually("a frame that nothing stops arrives", || {
            self.arrivals = self.count();
            self.arrivals.markers == awaited
        });
    }

    fn count(&self) -> Arrivals {
        let mut nft = self.wire.receiver().command("nft");
        let output = nft.args(["-j", "list", "counters"]).output().unwrap();
        let listing: Value = serde_json::from_slice(&output.stdout).unwrap();
        let counters = listing["nftables"].as_array().unwrap().iter();
        let counters = counters.filter_map(|object| object.get("counter"));
        let ours = counters.filter(|counter| counter["table"] == "arrivals");
        ours.fold(Arrivals::default(), |mut all, counter| {
            let packets = counter["packets"].as_u64().unwrap();
            match counter["name"].as_str().unwrap() {
                "marker" => all.markers += packets,
                _ => all.frames += packets,
            }
            all
        })
    }
}

impl<F: Firewall> Ground for Cable<F> {
    fn firewall(&mut self) -> &mut dyn Firewall {
        &mut self.firewall
    }

    fn send(&mut self, frame: &[u8]) -> Seen {
        let before = self.arrivals.frames;
        self.wire.send(frame).unwrap();
        self.mark();
        match self.arrivals.frames - before {
            0 => Seen::Arrived(false),
            1 => Seen::Arrived(true),
            many => panic!("one frame arrived {many} times"),
        }
    }

    fn unparsed(&mut self) -> Vec<(Unparsed, u64)> {
        (self.unparsed)(&self.firewall)
    }
}

fn xdp(jails: &[JailScope], attach: impl FnOnce(&mut Xdp) + Send) -> Cable<Xdp> {
    let wire = Wire::new().unwrap();
    let open = || {
        let mut xdp = Xdp::load(jails, SMALL).unwrap();
        attach(&mut xdp);
        xdp
    };
    let xdp = wire.receiver().enter(open).unwrap();
    Cable::new(wire, xdp, |xdp| xdp.unparsed().unwrap())
}

#[test]
fn xdp_in_the_driver_behaves_as_a_postmaster_expects() {
    require_root();
    let attach = |xdp: &mut Xdp| assert_eq!(xdp.attach(&interface("eth0")).unwrap().mode, Mode::Driver);
    run(&scripts(), |script| xdp(&script.jails, attach)).check("XDP, driver");
}

#[test]
fn xdp_in_the_generic_hook_behaves_as_a_postmaster_expects() {
    require_root();
    let attach = |xdp: &mut Xdp| {
        xdp.program().unwrap().attach("eth0", XdpMode::Skb).unwrap();
    };
    run(&scripts(), |script| xdp(&script.jails, attach)).check("XDP, generic");
}

fn nftables(jails: &[JailScope], hook: Hook) -> Cable<Nftables> {
    let wire = Wire::new().unwrap();
    let open = || {
        let mut nftables = Nftables::open(jails, hook).unwrap();
        nftables.settle().unwrap();
        nftables
    };
    let firewall = wire.receiver().enter(open).unwrap();
    Cable::new(wire, firewall, |_| Vec::new())
}

#[test]
fn nftables_behaves_as_a_postmaster_expects() {
    require_root();
    run(&scripts(), |script| nftables(&script.jails, Hook::Prerouting)).check("nftables");
}

#[test]
fn nftables_at_ingress_behaves_as_a_postmaster_expects() {
    require_root();
    let hook = || Hook::Ingress(Chosen::new(&["eth0".parse().unwrap()]));
    let mut report = run(&scripts(), |script| nftables(&script.jails, hook()));
    let is_otherwise = |failure: &String| OTHERWISE_AT_INGRESS.iter().any(|name| failure.contains(name));
    for name in OTHERWISE_AT_INGRESS {
        assert!(
            report.failures.iter().any(|failure| failure.contains(name)),
            "{name}: is as everywhere"
        );
    }
    report.failures.retain(|failure| !is_otherwise(failure));
    report.check("nftables, ingress");
}
