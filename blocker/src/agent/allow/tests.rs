use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};

use blocker_lab::dns::NameServer;

use super::*;

thread_local! {
    /// The name server that look-ups of this thread's runtime ask.
    static SERVER: Cell<Option<SocketAddr>> = const { Cell::new(None) };
}

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

fn names(names: &[&str]) -> Vec<Source> {
    names.iter().map(|name| Source::Name(name.parse().unwrap())).collect()
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What is wanted, from a server of the test's own, in a time that tests have.
fn refresh(server: SocketAddr, wanted: Wanted, folder: &tempfile::TempDir) -> Refresh {
    SERVER.set(Some(server));
    let mut refresh = Refresh::new(wanted, folder.path().join("allowlist.json"));
    refresh.dns = || Dns::at(SERVER.get().unwrap());
    refresh.pace = Pace {
        shortest: Duration::from_millis(50),
        longest: Duration::from_millis(100),
        retry: Duration::from_millis(20),
        longest_retry: Duration::from_millis(50),
    };
    refresh
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn server_at(address: SocketAddr) -> NameServer {
    NameServer::start(UdpSocket::bind(address).unwrap()).unwrap()
}

#[tokio::test]
async fn a_name_is_followed_to_its_new_address_and_kept_while_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_at("127.0.0.1:0".parse().unwrap());
    let address = server.address();
    server.set("relay.example", 60, "A", &["192.0.2.7"]).unwrap();
    server.set("friend.example", 60, "A", &["192.0.2.8"]).unwrap();
    server
        .set("big.example", 60, "TXT", &["v=spf1 ip4:198.51.100.0/24 -all"])
        .unwrap();
    let mut allow = names(&["relay.example"]);
    allow.push(Source::Spf("big.example".parse().unwrap()));
    let wanted = Wanted {
        allow,
        jails: vec![Vec::new(), names(&["friend.example", "relay.example"])],
    };
    let mut started = refresh(address, wanted.clone(), &folder);
    let answers = started.start().await;
    assert_eq!(answers.allow, nets(&["192.0.2.7/32", "198.51.100.0/24"]));
    assert_eq!(answers.jails, [vec![], nets(&["192.0.2.7/32", "192.0.2.8/32"])]);

    let looked_up = started.looked_up();
    let errors = Counter::default();
    let running = tokio::spawn(started.run(errors.clone()));
    server.set("relay.example", 60, "A", &["192.0.2.9"]).unwrap();
    let mut newest = None;
    eventually("the new address is there, and the old one is not", || {
        newest = looked_up.take().or(newest.take());
        newest
            .as_ref()
            .is_some_and(|answers| answers.allow == nets(&["192.0.2.9/32", "198.51.100.0/24"]))
    })
    .await;
    assert_eq!(errors.get(), 0);

    drop(server);
    eventually("look-ups fail", || errors.get() >= 4).await;
    assert_eq!(looked_up.take(), None, "nothing has changed");
    running.abort();

    // The next agent starts while the name server is still away.
    let mut next = refresh(address, wanted, &folder);
    assert_eq!(next.start().await.allow, nets(&["192.0.2.9/32", "198.51.100.0/24"]));
}

#[tokio::test]
async fn what_is_not_known_at_the_start_is_found_when_somebody_answers() {
    let folder = tempfile::tempdir().unwrap();
    // A port that is somebody's, who does not answer.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let wanted = Wanted {
        allow: names(&["relay.example"]),
        jails: Vec::new(),
    };
    let mut started = refresh(address, wanted, &folder);
    let begin = Instant::now();
    assert_eq!(started.start().await.allow, []);
    assert!(
        begin.elapsed() < AT_START + Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );

    let looked_up = started.looked_up();
    let errors = Counter::default();
    let running = tokio::spawn(started.run(errors.clone()));
    eventually("look-ups fail", || errors.get() >= 2).await;
    let server = NameServer::start(silent).unwrap();
    server.set("relay.example", 60, "A", &["192.0.2.7"]).unwrap();
    eventually("the name is known", || {
        looked_up
            .take()
            .is_some_and(|answers| answers.allow == nets(&["192.0.2.7/32"]))
    })
    .await;
    running.abort();
}

#[tokio::test]
async fn nothing_to_look_up_ends_at_once_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut refresh = refresh("127.0.0.1:9".parse().unwrap(), Wanted::default(), &folder);
    assert_eq!(refresh.start().await, Answers::default());
    refresh.run(Counter::default()).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
