//! The lab's network: relay, spammers and honest host, each plugged into one switch.
//!
//! The switch is a bridge in a namespace of its own. That way all packets for the relay, whoever sends them, come in by its one
//! `eth0`, which is what a firewall there has to cope with. All addresses are those set aside for documentation.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use crate::command::{ip, ip_batch};
use crate::namespace::Namespace;
use crate::registry::Record;

/// The relay.
pub const RELAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The relay, by IPv6.
pub const RELAY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// Where the relay's Postfix listens.
pub const SMTP: SocketAddr = SocketAddr::new(IpAddr::V4(RELAY), 25);
/// Where the relay's Postfix listens, by IPv6.
pub const SMTP_V6: SocketAddr = SocketAddr::new(IpAddr::V6(RELAY_V6), 25);

/// Hosts that spam. They share their /24 with the honest host, and have all of 192.0.2.2 to 192.0.2.99 to go on with.
pub const SPAMMERS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(192, 0, 2, 7),
    Ipv4Addr::new(192, 0, 2, 8),
    Ipv4Addr::new(192, 0, 2, 9),
];
/// A host that spams by IPv6, from a /64 that no honest host lives in.
pub const SPAMMER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0xbad, 0, 0, 0, 7);
/// A second one in the same /64.
pub const SPAMMER_V6_NEIGHBOUR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0xbad, 0, 0, 0, 8);
/// A spammer whom a usual `ignoreip` spares by its address.
pub const IGNORED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// A spammer whom a usual `ignoreip` spares by its network, 198.51.100.0/24.
pub const IGNORED_BY_NETWORK: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// The honest host.
pub const HONEST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
/// The honest host, by IPv6.
pub const HONEST_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);

/// Where the kernel keeps the settings of a host's `eth0`.
const IPV6_SETTINGS: &str = "/proc/sys/net/ipv6/conf/eth0";

/// Where the relay's Postfix listens for somebody who has this address.
#[must_use]
pub const fn smtp_for(source: IpAddr) -> SocketAddr {
    match source {
        IpAddr::V4(_) => SMTP,
        IpAddr::V6(_) => SMTP_V6,
    }
}

/// The hosts and the switch between them.
#[derive(Debug)]
pub struct Network {
    /// The mail relay.
    pub relay: Namespace,
    /// The hosts that spam.
    pub spam: Namespace,
    /// The honest host.
    pub honest: Namespace,
    /// Whether they have their IPv6 addresses too: this kernel may lack it.
    pub ipv6: bool,
    switch: Namespace,
}

impl Network {
    /// Makes the hosts and connects them.
    pub(crate) fn new(record: &Record) -> Result<Self> {
        let switch = Namespace::new(record, "switch")?;
        // No snooping: a bridge that has not heard of a multicast group yet would swallow neighbour discovery.
        ip_batch(
            switch.name(),
            "link add switch type bridge forward_delay 0 mcast_snooping 0\nlink set switch up\n",
        )?;
        let spam = host(record, &switch, "spam", &spam_addresses())?;
        let ipv6 = spam.enter(has_ipv6)?;
        if ipv6 {
            // The spammers' own /64 says nothing about how to get to the relay's.
            ip_batch(spam.name(), "route add 2001:db8::/64 dev eth0\n")?;
        }
        Ok(Self {
            relay: host(record, &switch, "relay", &relay_addresses())?,
            spam,
            honest: host(record, &switch, "honest", &honest_addresses())?,
            ipv6,
            switch,
        })
    }

    /// Takes the relay's interface away.
    pub(crate) fn unplug_relay(&self) -> Result<()> {
        // The switch's end goes with it.
        ip(&format!("-n {} link del eth0", self.relay.name())).map(drop)
    }

    /// Gives the relay an interface again, another one of the same name and addresses.
    pub(crate) fn plug_relay(&self) -> Result<()> {
        plug(&self.switch, &self.relay, "relay", &relay_addresses())?;
        for other in [&self.spam, &self.honest] {
            // It has another hardware address, which they would find out in a few seconds.
            ip(&format!("-n {} neigh flush all", other.name()))?;
        }
        Ok(())
    }

    /// One more host.
    pub(crate) fn host(&self, record: &Record, name: &str, addresses: &[&str]) -> Result<Namespace> {
        let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
        host(record, &self.switch, name, &addresses)
    }
}

fn relay_addresses() -> Vec<String> {
    vec![
        format!("{RELAY}/24"),
        "198.51.100.1/24".to_owned(),
        format!("{RELAY_V6}/64"),
        "2001:db8:0:bad::1/64".to_owned(),
    ]
}

fn spam_addresses() -> Vec<String> {
    let mut addresses: Vec<String> = (2..100).map(|host| format!("192.0.2.{host}/24")).collect();
    addresses.push(format!("{IGNORED_BY_NETWORK}/24"));
    addresses.push(format!("{SPAMMER_V6}/64"));
    addresses.push(format!("{SPAMMER_V6_NEIGHBOUR}/64"));
    addresses
}

fn honest_addresses() -> Vec<String> {
    vec![format!("{HONEST}/24"), format!("{HONEST_V6}/64")]
}

/// Makes a host whose `eth0` is plugged into the switch.
fn host(record: &Record, switch: &Namespace, name: &str, addresses: &[String]) -> Result<Namespace> {
    let host = Namespace::new(record, name)?;
    plug(switch, &host, name, addresses)?;
    Ok(host)
}

/// Plugs a host's new `eth0` into the switch.
fn plug(switch: &Namespace, host: &Namespace, name: &str, addresses: &[String]) -> Result<()> {
    ip(&format!(
        "-n {} link add {name} type veth peer name eth0 netns {}",
        switch.name(),
        host.name()
    ))?;
    ip_batch(switch.name(), &format!("link set {name} master switch up\n"))?;
    let ipv6 = host.enter(prepare_ipv6)?;
    let mut batch = String::new();
    for address in addresses {
        if !address.contains(':') {
            batch += &format!("address add {address} dev eth0\n");
        } else if ipv6 {
            // Without `nodad` the address would be of no use for the first second or two.
            batch += &format!("address add {address} dev eth0 nodad\n");
        }
    }
    batch += "link set eth0 up\n";
    ip_batch(host.name(), &batch)?;
    Ok(())
}

/// Whether the kernel has IPv6 for this thread's network.
fn has_ipv6() -> bool {
    Path::new(IPV6_SETTINGS).exists()
}

/// Lets IPv6 be used at once, and says whether the kernel has it at all.
pub(crate) fn prepare_ipv6() -> bool {
    if !has_ipv6() {
        return false;
    }
    let settings = Path::new(IPV6_SETTINGS);
    // Link-local addresses would otherwise be tested for duplicates first.
    let _kept = fs::write(settings.join("accept_dad"), "0");
    fs::write(settings.join("disable_ipv6"), "0").is_ok()
}
