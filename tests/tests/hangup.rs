//! A host that is banned in the midst of a session: what the ban covers is ended on the relay's side, and nothing else is.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "hangup/postfix.rs"]
mod postfix;
#[path = "hangup/session.rs"]
mod session;

use std::fs;
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use blocker_lab::network::{HONEST, RELAY, SPAMMER_V6, SPAMMER_V6_NEIGHBOUR, SPAMMERS};
use blocker_lab::smtp;
use blocker_tests::agent::{Agent, program};
use blocker_tests::eventually;
use blocker_tests::on_both_firewalls;
use blocker_tests::relay::Relay;
use nix::sys::signal::Signal;

use self::session::Session;

on_both_firewalls! {
    a_host_that_is_banned_in_mid_session_is_hung_up_on_within_a_second
    all_of_a_subscriber_is_hung_up_on_by_ipv6
    nobody_and_nothing_else_is_hung_up_on
    an_allowed_host_within_a_banned_network_is_not_hung_up_on
    in_a_dry_run_nobody_is_hung_up_on
    it_can_be_turned_off_and_on_by_a_reload
}

const FIRST: IpAddr = IpAddr::V4(SPAMMERS[0]);
const SECOND: IpAddr = IpAddr::V4(SPAMMERS[1]);
const THIRD: IpAddr = IpAddr::V4(SPAMMERS[2]);

fn ended(relay: &Relay) -> u64 {
    relay.metric("blocker_connections_ended_total")
}

fn reload(agent: &mut Agent) {
    agent.signal(Signal::SIGHUP);
    agent.says(&["INFO", "the configuration was read anew"]);
    agent.says(&[" ready "]);
}

/// Whether the agent has the thread that ends connections.
fn has_the_thread(agent: &Agent) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", agent.id())).unwrap();
    let names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
    names.into_iter().any(|name| name.trim_end() == "hangup")
}

fn a_host_that_is_banned_in_mid_session_is_hung_up_on_within_a_second(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    let session = Session::open(&relay, FIRST, 25);
    session.goes_on();
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    session.ends_within_a_second(&relay);
    eventually("it is counted", || ended(&relay) == 1);

    let (status, said) = agent.stop();
    assert!(
        status.success() && !said.contains("connections"),
        "nothing is amiss: {said}"
    );
}

fn all_of_a_subscriber_is_hung_up_on_by_ipv6(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    let hosts = [SPAMMER_V6.into(), SPAMMER_V6_NEIGHBOUR.into()];
    let sessions = hosts.map(|host| Session::open(&relay, host, 25));
    relay.reject(SPAMMER_V6.into(), 2);
    agent.says(&["INFO banned", "address=2001:db8:0:bad::/64 "]);
    for session in &sessions {
        session.ends_within_a_second(&relay);
    }
    eventually("they are counted", || ended(&relay) == 2);
}

fn nobody_and_nothing_else_is_hung_up_on(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    let ends = Session::open(&relay, FIRST, 25);
    let mut stay = vec![
        Session::open(&relay, FIRST, 22),
        Session::open(&relay, FIRST, 587),
        Session::open(&relay, SECOND, 25),
        Session::open(&relay, HONEST.into(), 25),
    ];
    // The relay delivers to the banned host.
    let listener = relay
        .lab
        .spam()
        .enter(|| TcpListener::bind((FIRST, 25)).unwrap())
        .unwrap();
    let deliver = || smtp::connect(RELAY.into(), (FIRST, 25).into(), Duration::from_secs(5)).unwrap();
    let delivers = relay.lab.relay().enter(deliver).unwrap();
    stay.push(Session::between(listener.accept().unwrap().0, delivers));

    relay.reject(FIRST, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    ends.ends_within_a_second(&relay);
    // What was found together is counted when all of it has been ended.
    eventually("it is counted", || ended(&relay) == 1);
    for session in &stay {
        session.goes_on();
    }
}

fn an_allowed_host_within_a_banned_network_is_not_hung_up_on(firewall: &str) {
    let relay = Relay::new("3600");
    let allow = |hosts: &str| {
        let text = format!("[allow]\nnetworks = [{hosts}]\n");
        fs::write(relay.config().join("blocker.toml"), text).unwrap();
    };
    allow("\"192.0.2.8\"");
    let mut agent = relay.start(firewall);
    let first = Session::open(&relay, FIRST, 25);
    let allowed = [SECOND, THIRD].map(|host| Session::open(&relay, host, 25));
    allow("\"192.0.2.8\", \"192.0.2.9\"");
    agent.signal(Signal::SIGHUP);
    agent.says(&["INFO the allowlist has changed"]);

    let mut ban = relay.lab.relay().command(program());
    let banned = ban.args(["ban", "192.0.2.0/28", "--jail", "spam"]).output().unwrap();
    assert!(banned.status.success(), "{banned:?}");
    first.ends_within_a_second(&relay);
    eventually("it is counted", || ended(&relay) == 1);
    for session in &allowed {
        session.goes_on();
    }
}

fn in_a_dry_run_nobody_is_hung_up_on(firewall: &str) {
    let relay = Relay::new("3600");
    let mut command = relay.command(firewall);
    command.arg("--dry-run");
    let mut agent = Agent::start(command);
    agent.says(&[" ready "]);
    let session = Session::open(&relay, FIRST, 25);
    relay.reject(FIRST, 2);
    agent.says(&["INFO would be banned", "address=192.0.2.7 "]);
    assert!(!has_the_thread(&agent), "nobody is there who could");
    session.goes_on();
    assert_eq!(ended(&relay), 0);
}

fn it_can_be_turned_off_and_on_by_a_reload(firewall: &str) {
    let relay = Relay::new("3600");
    let set = |text: &str| fs::write(relay.config().join("blocker.toml"), text).unwrap();
    set("[firewall]\nend_connections = false\n");
    let mut agent = relay.start(firewall);
    let [first, second, third] = [FIRST, SECOND, THIRD].map(|host| Session::open(&relay, host, 25));
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert!(!has_the_thread(&agent), "nobody is there who could");

    set("[firewall]\nend_connections = true\n");
    reload(&mut agent);
    eventually("somebody is", || has_the_thread(&agent));
    relay.reject(SECOND, 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    second.ends_within_a_second(&relay);
    eventually("it is counted", || ended(&relay) == 1);

    set("[firewall]\nend_connections = false\n");
    reload(&mut agent);
    relay.reject(THIRD, 2);
    agent.says(&["INFO banned", "address=192.0.2.9 "]);
    assert!(!has_the_thread(&agent), "nobody is there who could");
    assert!(first.is_there(&relay) && third.is_there(&relay));
    assert_eq!(ended(&relay), 1, "and what was counted stays");
}
