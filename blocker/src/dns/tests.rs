use std::net::UdpSocket;

use blocker_lab::dns::NameServer;
use ipnet::IpNet;

use super::*;

fn server() -> NameServer {
    NameServer::start(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap()
}

fn look_up(server: &NameServer, source: &Source) -> Result<Found, LookupError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { source.look_up(&Dns::at(server.address())).await })
}

fn name(text: &str) -> Source {
    Source::Name(text.parse().unwrap())
}

/// What the SPF record of `a.example` comes to.
fn spf(server: &NameServer) -> Result<Found, String> {
    look_up(server, &Source::Spf("a.example".parse().unwrap())).map_err(|error| error.to_string())
}

fn listed(found: &Found) -> Vec<String> {
    found.networks.iter().map(IpNet::to_string).collect()
}

#[test]
fn a_name_is_all_its_addresses_for_as_long_as_the_shortest_lived_holds() {
    let server = server();
    server
        .set("relay.example", 300, "A", &["192.0.2.9", "192.0.2.7"])
        .unwrap();
    server.set("relay.example", 120, "AAAA", &["2001:db8::7"]).unwrap();
    let found = look_up(&server, &name("relay.example")).unwrap();
    assert_eq!(listed(&found), ["192.0.2.7/32", "192.0.2.9/32", "2001:db8::7/128"]);
    assert_eq!((found.ttl, found.missing), (Duration::from_secs(120), None));

    server.set("v4.example", 60, "A", &["192.0.2.8"]).unwrap();
    assert_eq!(look_up(&server, &name("v4.example")).unwrap().missing, None);
}

#[test]
fn a_name_that_is_not_there_and_a_server_that_is_not_are_told_apart() {
    let server = server();
    server.set("empty.example", 60, "TXT", &["x"]).unwrap();
    for absent in ["nobody.example", "empty.example"] {
        assert_eq!(look_up(&server, &name(absent)), Err(LookupError::Absent), "{absent}");
    }
    // Bound, so that nobody else answers there.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let failed = runtime.block_on(async {
        let dns = Dns::at(silent.local_addr().unwrap());
        name("relay.example").look_up(&dns).await
    });
    assert!(matches!(failed, Err(LookupError::Failed(_))), "{failed:?}");
}

#[test]
fn no_more_of_a_names_addresses_are_taken_than_a_host_has() {
    let server = server();
    let many: Vec<String> = (0..70).map(|n| format!("192.0.2.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    server.set("many.example", 60, "A", &many).unwrap();
    server.set("many.example", 60, "AAAA", &["2001:db8::7"]).unwrap();
    let found = look_up(&server, &name("many.example")).unwrap();
    assert!(found.networks.iter().all(|network| network.addr().is_ipv4()));
    assert!(
        found
            .networks
            .iter()
            .map(|network| 1_usize << (32 - network.prefix_len()))
            .sum::<usize>()
            <= MAX_ADDRESSES
    );
}

#[test]
fn an_spf_record_is_followed_through_include_redirect_a_and_mx() {
    let server = server();
    let set = |name, kind, values: &[&str]| server.set(name, 600, kind, values).unwrap();
    set(
        "a.example",
        "TXT",
        &["unrelated", "v=spf1 include:b.example redirect=c.example"],
    );
    server
        .set(
            "b.example",
            90,
            "TXT",
            &["v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/25 ip6:2001:db8::/32 ~all"],
        )
        .unwrap();
    set("c.example", "TXT", &["v=spf1 a/30 mx include:%{i}.x.example -all"]);
    set("c.example", "A", &["198.51.100.9"]);
    set("c.example", "MX", &["mx1.example", "mx2.example", "gone.example"]);
    set("mx1.example", "A", &["203.0.113.1"]);
    set("mx2.example", "AAAA", &["2001:db9::1"]);
    let found = spf(&server).unwrap();
    let expected = [
        "192.0.2.0/24",
        "198.51.100.8/30",
        "203.0.113.1/32",
        "2001:db8::/32",
        "2001:db9::1/128",
    ];
    assert_eq!(listed(&found), expected);
    assert_eq!(
        found.ttl,
        Duration::from_secs(90),
        "of the shortest lived record on the way"
    );
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(found.warnings[0].starts_with("c.example: `include:%{i}.x.example` has a macro"));
}

#[test]
fn a_circle_of_records_ends() {
    let server = server();
    server
        .set("a.example", 60, "TXT", &["v=spf1 ip4:192.0.2.1 include:b.example -all"])
        .unwrap();
    server
        .set(
            "b.example",
            60,
            "TXT",
            &["v=spf1 ip4:192.0.2.2 include:a.example redirect=b.example"],
        )
        .unwrap();
    assert_eq!(listed(&spf(&server).unwrap()), ["192.0.2.1/32", "192.0.2.2/32"]);
    assert_eq!(server.queries(), 2);
}

#[test]
fn an_eleventh_look_up_is_one_too_many() {
    let server = server();
    let record = |includes: usize| {
        let includes: String = (0..includes).map(|n| format!(" include:i{n}.example")).collect();
        format!("v=spf1{includes} -all")
    };
    for n in 0..11 {
        let network = format!("v=spf1 ip4:192.0.{n}.0/24 -all");
        server.set(&format!("i{n}.example"), 60, "TXT", &[&network]).unwrap();
    }
    server.set("a.example", 60, "TXT", &[&record(10)]).unwrap();
    assert_eq!(listed(&spf(&server).unwrap()), ["192.0.0.0/21", "192.0.8.0/23"]);
    server.set("a.example", 60, "TXT", &[&record(11)]).unwrap();
    assert!(spf(&server).unwrap_err().contains("more than 10 look-ups"));
    assert!(server.queries() < 30);
}

#[test]
fn no_record_can_switch_the_firewall_off() {
    let server = server();
    let record = |text: &str| {
        server.set("a.example", 60, "TXT", &[text]).unwrap();
        spf(&server)
    };
    for term in [
        "+all",
        "all",
        "ip4:0.0.0.0/0",
        "ip4:10.0.0.0/7",
        "ip6:2000::/3",
        "ip6:::ffff:0:0/96",
        "a/0",
    ] {
        server.set("a.example", 60, "A", &["198.51.100.1"]).unwrap();
        let found = record(&format!("v=spf1 ip4:192.0.2.7 {term}")).unwrap();
        assert_eq!(listed(&found), ["192.0.2.7/32"], "{term}");
        assert_eq!(found.warnings.len(), 1, "{term}: {:?}", found.warnings);
    }
    let parts: String = (1..=5).map(|n| format!(" ip4:{n}.0.0.0/8")).collect();
    assert!(
        record(&format!("v=spf1{parts} -all"))
            .unwrap_err()
            .contains("more of the Internet")
    );
    let parts: String = (0x2000..0x2005).map(|n| format!(" ip6:{n:x}::/16")).collect();
    assert!(
        record(&format!("v=spf1{parts} -all"))
            .unwrap_err()
            .contains("more of the Internet")
    );
}

#[test]
fn a_record_that_is_missing_or_there_twice_is_an_error() {
    let server = server();
    assert!(
        spf(&server)
            .unwrap_err()
            .starts_with("a.example: there is no such record")
    );
    server
        .set("a.example", 60, "TXT", &["v=spf1 include:b.example -all"])
        .unwrap();
    server
        .set("b.example", 60, "TXT", &["google-site-verification=x"])
        .unwrap();
    assert!(spf(&server).unwrap_err().contains("b.example has no SPF record"));
    server
        .set("b.example", 60, "TXT", &["v=spf1 -all", "v=spf1 +all"])
        .unwrap();
    assert!(
        spf(&server)
            .unwrap_err()
            .contains("b.example has more than one SPF record")
    );
}
