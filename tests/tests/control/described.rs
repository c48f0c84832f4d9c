//! docs/control.openapi.yaml says what the agent does, all of it, and nothing else.

#[path = "described/answering.rs"]
mod answering;
#[path = "described/description.rs"]
mod description;

use std::collections::BTreeSet;
use std::fs;

use blocker::api::control;
use blocker::ban::Origin;
use blocker::firewall::xdp::Mode;
use blocker::firewall::{CoveredBy, Kind};
use blocker_tests::relay::Relay;

use self::answering::{Answering, Question, ask};
use self::description::Description;
use super::bad_requests::socket;
use super::{blocker, told};

/// The answers that an agent has no reason for: the ledger is full, or it does not come to answer.
const NOT_BY_AN_AGENT: [u16; 2] = [503, 507];

#[test]
fn what_there_is_and_what_is_described_are_the_same_paths_and_methods() {
    let routes: BTreeSet<(String, String)> = control::paths()
        .map(|(method, path)| (method.to_string(), path.to_owned()))
        .collect();
    assert_eq!(
        routes,
        Description::read().operations(),
        "left what `routes()` has, right what docs/control.openapi.yaml describes"
    );
}

/// Asks all of these, holds each answer to the description, and gives which operation has answered what.
fn answers(socket: &std::path::Path, questions: &[(Question, u16)]) -> BTreeSet<(String, String, u16)> {
    let description = Description::read();
    let mut seen = BTreeSet::new();
    for (question, status) in questions {
        let answer = ask(socket, question);
        assert_eq!(answer.status, *status, "{question:?}: {answer:?}");
        description.holds(question, &answer);
        seen.insert((question.method.to_owned(), question.path().to_owned(), *status));
    }
    seen
}

#[test]
fn each_status_that_is_described_is_answered_as_it_is_described() {
    let relay = Relay::new("3600");
    fs::write(
        relay.config().join("blocker.toml"),
        "[allow]\nnetworks = [\"203.0.113.0/24\"]\n",
    )
    .unwrap();
    let mut agent = relay.start("nftables");
    told(&blocker(&relay, &["ban", "192.0.2.0/29"]));
    relay.reject("192.0.2.20".parse().unwrap(), 2);
    agent.says(&["INFO banned", "address=192.0.2.20 "]);
    let get = |target| Question::new("GET", target);
    let post = |target| Question::new("POST", target);
    let delete = |target| Question::new("DELETE", target);
    let ban = |body: &str| post("/v1/bans").with(body);
    let huge = " ".repeat(100_000);
    let mut seen = answers(
        &socket(&relay),
        &[
            (get("/v1/status"), 200),
            (ban("{\"address\": \"192.0.2.8\"}"), 200),
            (
                ban("{\"address\": \"2001:db8::8\", \"jail\": \"spam\", \"seconds\": 60}"),
                200,
            ),
            (
                ban("{\"address\": \"192.0.2.9\", \"jail\": null, \"seconds\": null}"),
                200,
            ),
            (ban("{\"address\": \"nobody\"}"), 400),
            (ban("{\"address\": \"192.0.2.8\", \"jail\": \"absent\"}"), 404),
            (ban("{\"address\": \"192.0.2.8\"").unfinished(), 408),
            (ban("{\"address\": \"203.0.113.7\"}"), 409),
            (ban(&huge), 413),
            (ban("{}").of_kind("text/plain"), 415),
            (ban("{\"address\": \"0.0.0.0/7\"}"), 422),
            (ban("{\"address\": \"::/15\"}"), 422),
            (ban("{\"address\": \"192.0.2.8\", \"seconds\": 0}"), 422),
            (ban("{\"address\": \"192.0.2.8\", \"seconds\": 3153600001}"), 422),
            (get("/v1/bans"), 200),
            (get("/v1/bans?sort=since&limit=1"), 200),
            (get("/v1/bans?sort=until&address=192.0.2.7"), 200),
            (get("/v1/bans?sort=failures&network=192.0.2.0/24"), 200),
            (get("/v1/bans?sort=packets&jail=spam"), 200),
            (get("/v1/bans?sort=address&limit=0"), 200),
            (get("/v1/bans?limit=some"), 400),
            (get("/v1/why?address=192.0.2.7"), 200),
            (get("/v1/why?address=198.51.100.7"), 200),
            (get("/v1/why?address=203.0.113.7"), 200),
            (get("/v1/why?address=192.0.2.20"), 200),
            (get("/v1/why"), 400),
            (get("/v1/why?address=nobody"), 400),
            (delete("/v1/bans?address=192.0.2.8"), 200),
            (delete("/v1/bans"), 400),
            (delete("/v1/bans?jail=absent"), 404),
            (post("/v1/reload"), 200),
            (get("/v1/absent"), 404),
            (post("/v1/status"), 405),
            (delete("/v1/reload"), 405),
            (get("/v1/stop"), 405),
        ],
    );
    relay.configure("[spam]\nenabled = true\nmaxretry = some\n");
    seen.extend(answers(
        &socket(&relay),
        &[(post("/v1/reload"), 422), (post("/v1/stop"), 202)],
    ));
    let (status, said) = agent.ends();
    assert!(status.success(), "{said}");

    let folder = relay.lab.folder();
    let full = Answering::full(&folder.join("full.sock"));
    seen.extend(answers(full.socket(), &[(ban("{\"address\": \"192.0.2.8\"}"), 507)]));
    let gone = Answering::gone(&folder.join("gone.sock"));
    seen.extend(answers(
        gone.socket(),
        &[
            (get("/v1/bans"), 503),
            (get("/v1/why?address=192.0.2.7"), 503),
            (ban("{\"address\": \"192.0.2.8\"}"), 503),
            (delete("/v1/bans?address=192.0.2.8"), 503),
            (post("/v1/reload"), 503),
            (post("/v1/stop"), 503),
        ],
    ));
    let described = Description::read().statuses();
    let missing: Vec<_> = described.difference(&seen).collect();
    assert!(
        missing.is_empty(),
        "described, and provoked by nothing above: {missing:?}"
    );
    let undescribed = seen
        .difference(&described)
        .filter(|(_, _, status)| ![404, 405].contains(status));
    assert_eq!(undescribed.count(), 0, "{seen:?}");
    let own = described
        .iter()
        .filter(|(_, _, status)| NOT_BY_AN_AGENT.contains(status))
        .count();
    println!(
        "{} statuses are described, {} of them answered by the real agent",
        described.len(),
        described.len() - own
    );
}

#[test]
fn the_words_that_are_described_are_those_that_there_are() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    let socket = socket(&relay);
    let description = Description::read();
    // Whoever asks for what is not there is told what there is.
    let expected = |question: &Question| {
        let answer = ask(&socket, question);
        assert_eq!(answer.status, 400, "{answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        let (_, words) = detail.split_once("expected one of ").expect("it says what there is");
        let words = words.split('`').skip(1).step_by(2).map(str::to_owned);
        words.collect::<BTreeSet<String>>()
    };
    let sorts = expected(&Question::new("GET", "/v1/bans?sort=colour"));
    assert_eq!(sorts, description.words("/components/schemas/Sort/enum"));
    let parameters = expected(&Question::new("GET", "/v1/bans?colour=red"));
    assert_eq!(parameters, description.parameters("/v1/bans", "get"));
    let fields = expected(&Question::new("POST", "/v1/bans").with("{\"colour\": \"red\"}"));
    assert_eq!(fields, description.keys("/components/schemas/NewBan/properties"));

    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<String>>()
    };
    // A variant that comes to one of these enums is missing here, and in the description.
    let origin = |origin: Origin| match origin {
        Origin::Jail | Origin::Manual => origin.name(),
    };
    assert_eq!(
        description.words("/components/schemas/Ban/properties/origin/enum"),
        names(&[Origin::Jail, Origin::Manual].map(origin))
    );
    let kind = |kind: Kind| match kind {
        Kind::Xdp | Kind::Nftables | Kind::Both => kind.name(),
    };
    let kinds = [Kind::Xdp, Kind::Nftables, Kind::Both].map(kind);
    assert_eq!(
        description.words("/components/schemas/Status/properties/firewall/enum"),
        names(&[&kinds[..], &["none"]].concat())
    );
    let mode = |by: CoveredBy| match by {
        CoveredBy::Xdp(Mode::Driver | Mode::Generic) | CoveredBy::Nftables(_) | CoveredBy::Nothing(_) => by.name(),
    };
    let modes = [
        CoveredBy::Xdp(Mode::Driver),
        CoveredBy::Xdp(Mode::Generic),
        CoveredBy::Nftables(""),
        CoveredBy::Nothing(""),
    ];
    assert_eq!(
        description.words("/components/schemas/Interface/properties/mode/enum"),
        names(&[&modes.map(mode)[..], &kinds[..]].concat())
    );
}
