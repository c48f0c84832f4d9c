//! A set of networks that can be asked about a host or network.

use ipnet::IpNet;

use super::Subject;

/// Networks in ascending order, none of which covers or completes another: so a network that is covered by several is covered by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether all of a host or network is in one of them.
    #[must_use]
    pub fn cover(&self, subject: Subject) -> bool {
        let network = subject.network();
        // Of those that do not overlap, only the last that begins before it can. All of them are written without bits behind their
        // prefixes, so that their addresses are where they begin.
        let after = self.0.partition_point(|known| known.addr() <= network.addr());
        after.checked_sub(1).is_some_and(|last| self.0[last].contains(&network))
    }

    /// Whether there are hosts of a network in them.
    #[must_use]
    pub fn touch(&self, subject: Subject) -> bool {
        let network = subject.network();
        let first = self.0.partition_point(|known| known.addr() < network.addr());
        let within = self.0.get(first).is_some_and(|known| network.contains(known));
        within || self.cover(subject)
    }

    /// They.
    #[must_use]
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        let networks: Vec<IpNet> = networks
            .into_iter()
            .map(|network| Subject::from(network).network())
            .collect();
        let networks = IpNet::aggregate(&networks).into_iter();
        let mut networks: Vec<IpNet> = networks.map(|network| network.trunc()).collect();
        networks.sort_unstable();
        Self(networks)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ipnet::Ipv4Net;
    use proptest::prelude::*;

    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    fn subject(text: &str) -> Subject {
        text.parse().unwrap()
    }

    #[test]
    fn two_halves_cover_what_they_make_together() {
        let halves = networks(&["192.0.2.128/25", "192.0.2.0/25", "192.0.2.7/32"]);
        assert!(halves.cover(subject("192.0.2.0/24")) && halves.cover(subject("192.0.2.200")));
        assert!(!halves.cover(subject("192.0.2.0/23")) && !halves.cover(subject("192.0.3.0")));
    }

    #[test]
    fn a_network_is_touched_where_one_of_its_hosts_is() {
        let known = networks(&["2001:db8::7/128", "192.0.2.0/24"]);
        for touched in ["2001:db8::/64", "2001:db8::7", "192.0.2.9", "192.0.0.0/16", "::/0"] {
            assert!(known.touch(subject(touched)), "{touched}");
        }
        for free in ["2001:db8:1::/64", "2001:db8::8", "192.0.3.0/24", "198.51.100.0/24"] {
            assert!(!known.touch(subject(free)), "{free}");
        }
    }

    proptest! {
        #[test]
        fn what_covers_is_what_a_look_at_each_says(
            known in proptest::collection::vec((any::<u8>(), 24_u8..=32), 0..12),
            asked in (any::<u8>(), 24_u8..=32),
        ) {
            let network = |(host, length): (u8, u8)| {
                let net = Ipv4Net::new(Ipv4Addr::new(192, 0, 2, host), length);
                IpNet::V4(net.unwrap().trunc())
            };
            let list: Networks = known.iter().copied().map(network).collect();
            let asked = network(asked);
            let IpNet::V4(v4) = asked else { unreachable!() };
            let hosts: Vec<IpNet> = Ipv4Net::new(v4.network(), v4.prefix_len()).unwrap().subnets(32).unwrap().map(IpNet::V4).collect();
            let known: Vec<IpNet> = known.into_iter().map(network).collect();
            let in_list = |host: &IpNet| known.iter().any(|network| network.contains(host));
            prop_assert_eq!(list.cover(asked.into()), hosts.iter().all(in_list));
            prop_assert_eq!(list.touch(asked.into()), hosts.iter().any(in_list));
        }
    }
}
