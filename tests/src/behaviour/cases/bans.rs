//! Bans as time goes on: made, ended, extended, lifted, by one jail and by several.

use super::{jail, probe};
use crate::behaviour::{Case, Expected, Lasts, Script, Stage};

const MAIL: u16 = 0;
const SUBMISSION: u16 = 1;
/// Of the same scope as `MAIL`.
const STRICT: u16 = 2;

/// A host, and another in whose /64 one host is banned, not all.
const HOSTS: [&str; 2] = ["192.0.2.7", "2001:db8::7"];

pub(super) fn bans() -> Script {
    let mut stages = one_jail();
    stages.extend(several_jails());
    stages.push(subnets());
    Script {
        name: "bans",
        jails: vec![
            jail("mail", vec![25..=25], Vec::new()),
            jail("submission", vec![587..=587], Vec::new()),
            jail("strict", vec![25..=25], Vec::new()),
        ],
        stages,
    }
}

/// A stage in which each host gets these bans, one list after the other, and what then holds for its ports 25 and 587.
fn stage(name: &'static str, bans: &[&[(u16, Lasts)]], mail: Expected, submission: Expected) -> Stage {
    let of = |host: &str| {
        bans.iter()
            .map(|bans| (host.to_owned(), bans.to_vec()))
            .collect::<Vec<_>>()
    };
    let probes = |host| {
        [
            probe("port 25", host, 25, mail),
            probe("port 587", host, 587, submission),
        ]
    };
    Stage {
        name,
        bans: HOSTS.into_iter().flat_map(of).collect(),
        allowlist: None,
        cases: HOSTS.into_iter().flat_map(probes).collect(),
    }
}

fn one_jail() -> Vec<Stage> {
    let (dropped, free) = (Expected::dropped(MAIL), Expected::DELIVERED);
    vec![
        stage("before any", &[], free, free),
        stage("a ban is made", &[&[(MAIL, Lasts::Hour)]], dropped, free),
        stage("it is lifted", &[&[]], free, free),
        stage("it is lifted again", &[&[], &[]], free, free),
        stage("one comes to its end", &[&[(MAIL, Lasts::Over)]], free, free),
        stage("made again after its end", &[&[(MAIL, Lasts::Hour)]], dropped, free),
        stage("shortened, and over", &[&[(MAIL, Lasts::Over)]], free, free),
        stage(
            "extended before its end",
            &[&[(MAIL, Lasts::Over)], &[(MAIL, Lasts::Hour)]],
            dropped,
            free,
        ),
        stage("made permanent", &[&[(MAIL, Lasts::Forever)]], dropped, free),
        stage("permanent no more, and over", &[&[(MAIL, Lasts::Over)]], free, free),
        stage(
            "made permanent before its end",
            &[&[(MAIL, Lasts::Over)], &[(MAIL, Lasts::Forever)]],
            dropped,
            free,
        ),
        stage("a permanent one is lifted", &[&[]], free, free),
    ]
}

fn several_jails() -> Vec<Stage> {
    let (mail, submission, strict, free) = (
        Expected::dropped(MAIL),
        Expected::dropped(SUBMISSION),
        Expected::dropped(STRICT),
        Expected::DELIVERED,
    );
    let (hour, over, forever) = (Lasts::Hour, Lasts::Over, Lasts::Forever);
    vec![
        stage(
            "two jails ban",
            &[&[(MAIL, hour), (SUBMISSION, hour)]],
            mail,
            submission,
        ),
        stage("one of two lifts", &[&[(SUBMISSION, hour)]], free, submission),
        stage(
            "the first ban is over",
            &[&[(MAIL, over), (SUBMISSION, hour)]],
            free,
            submission,
        ),
        stage(
            "the second ban is over",
            &[&[(MAIL, hour), (SUBMISSION, over)]],
            mail,
            free,
        ),
        stage("both are over", &[&[(MAIL, over), (SUBMISSION, over)]], free, free),
        stage(
            "one permanent, one for an hour",
            &[&[(MAIL, forever), (SUBMISSION, hour)]],
            mail,
            submission,
        ),
        stage(
            "a second jail joins later, and its ban is over",
            &[&[(MAIL, hour)], &[(MAIL, hour), (SUBMISSION, over)]],
            mail,
            free,
        ),
        stage(
            "a second jail joins later and stays longer",
            &[&[(MAIL, over)], &[(MAIL, over), (SUBMISSION, forever)]],
            free,
            submission,
        ),
        stage(
            "of two jails with the same scope, the first one's ban is over",
            &[&[(MAIL, over), (STRICT, hour)]],
            strict,
            free,
        ),
        stage(
            "of two jails with the same scope, the second one's ban is over",
            &[&[(MAIL, hour), (STRICT, over)]],
            mail,
            free,
        ),
        stage(
            "three jails, two scopes, three ends",
            &[&[(STRICT, over), (SUBMISSION, hour), (MAIL, forever)]],
            mail,
            submission,
        ),
        stage("all lift", &[&[]], free, free),
    ]
}

/// One subscriber has a /64 at least, so that is what IPv6 bans cover by default.
fn subnets() -> Stage {
    let (dropped, free) = (Expected::dropped(MAIL), Expected::DELIVERED);
    let case = |what: &str, source: &str, expected| -> Case { probe(what, source, 25, expected) };
    Stage {
        name: "an IPv6 network of 64 bits, a single IPv6 host, an IPv4 host",
        bans: ["2001:db8:0:bad::/64", "2001:db8:0:1::7", "192.0.2.9"]
            .map(|subject| (subject.to_owned(), vec![(MAIL, Lasts::Hour)]))
            .into(),
        allowlist: None,
        cases: vec![
            case("the one who is to blame", "2001:db8:0:bad::7", dropped),
            case("a neighbour in the /64", "2001:db8:0:bad:ffff:ffff:ffff:ffff", dropped),
            case("the next /64", "2001:db8:0:bae::7", free),
            case("the /64 before", "2001:db8:0:bac:ffff:ffff:ffff:ffff", free),
            case("a single host", "2001:db8:0:1::7", dropped),
            case("the single host's neighbour", "2001:db8:0:1::8", free),
            case("an IPv4 host", "192.0.2.9", dropped),
            case("the IPv4 host's neighbour", "192.0.2.10", free),
        ],
    }
}
