use std::path::Path;

use super::*;
use crate::config::{self, Folder};
use crate::filter::definition::Definition;
use crate::filter::parameters::Named;
use crate::filter::value::Value;
use crate::problem::Place;

fn warned(prefregex: Option<&str>, failregex: &str) -> Vec<String> {
    let mut definition = Definition::of_regex(failregex);
    if let Some(prefregex) = prefregex {
        definition.replace("prefregex", Value::given(&Place::file(Path::new("x")), prefregex));
    }
    let filter = Arc::new(Filter::compile(&definition).unwrap());
    warnings(&filter).iter().map(ToString::to_string).collect()
}

#[test]
fn an_expression_that_begins_anywhere_is_warned_of() {
    for failregex in [
        r"reject: RCPT from [^[]*\[<HOST>\]: 554",
        r"^.*reject: RCPT from [^[]*\[<HOST>\]: 554 denied$",
        r"^\s*.+ failed from [^[]*\[<HOST>\]: 554$",
    ] {
        let warned = warned(None, failregex);
        assert_eq!(warned.len(), 1, "{failregex}");
        assert!(warned[0].contains("begin it with `^`"), "{warned:?}");
        assert!(warned[0].contains("[198.51.100.9]: 554"), "{warned:?}");
    }
}

#[test]
fn a_repetition_that_reaches_past_the_address_is_warned_of() {
    for failregex in [
        r"^ \S+ postfix/smtpd\[\d+\]: .*\[<HOST>\]: SASL",
        r"^ \S+ dovecot: .+ rip=<HOST>, lip",
        r"^ (?:\S+ )+rip=<ADDR>,",
        r"^ \S+ sshd: [^x]*from <HOST> port",
        r"^ \S+ sshd: (?!x).* from <HOST> port",
        r"^ \S+ sshd: .* from <HOST> port \d+: .*$",
    ] {
        let warned = warned(None, failregex);
        assert_eq!(warned.len(), 1, "{failregex}");
        assert!(warned[0].contains("in the place of `.*`"), "{warned:?}");
    }
}

#[test]
fn a_lazy_repetition_that_gives_way_is_warned_of() {
    let warned = warned(None, r"^ \S+ dovecot: .*?rip=<HOST>,");
    assert_eq!(warned.len(), 1, "{warned:?}");
}

#[test]
fn what_cannot_pass_an_address_is_not_warned_of() {
    for failregex in [
        r"^ \S+ postfix/smtpd\[\d+\]: reject: RCPT from [^\[\]]*\[<HOST>\]: 554 .* denied",
        r"^ \S+ postfix/smtpd\[\d+\]: warning: [^[]*\[<HOST>\]: SASL \S+ authentication failed",
        r"^\s*(?:[\w.-]+\s+)?sm-mta\[\d+\]: <ADDR> did not issue",
        r"^<ADDR> - - \[\] .*$",
    ] {
        assert_eq!(warned(None, failregex), [""; 0], "{failregex}");
    }
}

#[test]
fn what_holds_only_by_the_logs_grammar_is_warned_of_as_such() {
    for failregex in [
        r"^ \S+ dropbear\[\d+\]: Bad password attempt for '.+' from <HOST>:\d+$",
        r"^ \S+ postfix/smtpd\[\d+\]: warning: .*\[<HOST>\]: SASL LOGIN authentication failed$",
    ] {
        let warned = warned(None, failregex);
        assert_eq!(warned.len(), 1, "{failregex}");
        assert!(warned[0].contains("it holds only while"), "{warned:?}");
    }
}

#[test]
fn what_cannot_be_examined_is_named() {
    for failregex in [
        // Nothing is that long.
        r"^(?:(?:(?:(?!y)x{1000}){1000}){1000}){1000}<HOST>",
        // Nothing is left for what follows.
        r"^ \S+ sshd\[\d+\]: Invalid user .*+ from <HOST>\s*$",
        r"^(?:(?!x)y|z)(?<=x) .* from <HOST>",
    ] {
        let warned = warned(None, failregex);
        assert_eq!(warned.len(), 1, "{failregex}");
        assert!(warned[0].contains("not examined: failregex `"), "{warned:?}");
    }
}

#[test]
fn nothing_repeated_without_an_end_is_nothing() {
    for failregex in [
        r"^(?:){4000000000}<HOST>",
        r"^(?:){999999999,}x<HOST>",
        r"^(?:(?:(?:){1000,}x{0}){1000,}){1000,}<HOST>",
    ] {
        assert_eq!(warned(None, failregex), [""; 0], "{failregex}");
    }
}

#[test]
fn what_stands_behind_a_prefix_that_cannot_be_examined_is_named_with_it() {
    let warned = warned(Some("^x{2000} <F-CONTENT>.+</F-CONTENT>$"), "^a <HOST>$");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("not examined: prefregex"), "{warned:?}");
}

#[test]
fn too_many_ways_are_not_all_tried_and_that_is_said() {
    let optional: String = (0..2000).map(|n| format!("(?:a{n}=[^ ,]*, )?")).collect();
    let warned = warned(None, &format!("^x: {optional}rip=<HOST>,"));
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("not examined"), "{warned:?}");
}

#[test]
fn the_prefix_is_looked_at_too() {
    let content = "<F-CONTENT>.+</F-CONTENT>$";
    assert_eq!(
        warned(Some(&format!("^ \\S+ smtpd: {content}")), r"^from [^[]*\[<HOST>\]"),
        [""; 0]
    );
    assert_eq!(
        warned(Some(&format!("^ \\S+ smtpd: {content}")), r"from [^[]*\[<HOST>\]").len(),
        1
    );
    assert_eq!(
        warned(Some(&format!("^.*client <HOST>\\] {content}")), "^denied$").len(),
        1
    );
    assert_eq!(
        warned(Some(&format!("^\\[client <HOST>\\] {content}")), "^denied$"),
        [""; 0]
    );
}

/// Expressions, and whether a client can lead them astray.
const CASES: [(&str, bool); 36] = [
    // What is optional, and every branch.
    (r"^ \S+ imapd\[\d+\]: Login failed(?: for user .*)? from <HOST>$", true),
    (r"^ \S+ x\[\d+\]: (?:user=.*, )?rip=<HOST>, fail", true),
    (r"^ \S+ x\[\d+\]: (?:bad|user .* bad) from <HOST> port", true),
    (r"^ \S+ x\[\d+\]: (?:error|.*): client <HOST> denied", true),
    (r"(?:^bad|user bad) from <HOST> port", true),
    // Names that the client chooses, and ones that he does not.
    (r"^ \S+ x\[\d+\]: user=\S+ from=<HOST> denied", true),
    (r"^ \S+ x\[\d+\]: user=\S+ from=<HOST> denied$", false),
    (r"^ \S+ x\[\d+\]: pid=\S+ from=<HOST> denied", false),
    (r"^ \S+ x\[\d+\]: connect from \S+\[<HOST>\]: denied", false),
    (r"^ \S+ x: (?:\w+=\S+ )*rip=<HOST> bad", true),
    // What takes only so much.
    (r"^ \S+ x\[\d+\]: user=.{0,30} from=<HOST> denied", true),
    (r"^ \S+ x\[\d+\]:.? denied <HOST>", false),
    // What holds.
    (
        r"^ \S+ postfix/smtpd\[\d+\]: reject: RCPT from [^\[]*\[<HOST>\]: 554",
        false,
    ),
    (r#"^<HOST> -.*"(GET|POST).*wp-login"#, false),
    (r#"^<HOST> - \S+ \[\] "(GET|POST) .*" 404"#, false),
    (
        r"^\[[^]]*\] \[error\] \[client <HOST>\] File does not exist: .*w00tw00t",
        false,
    ),
    (r"^\s*\S*\s*x\[\d+\]: rejected from <HOST>$", false),
    (r"^(?:<[^.]+\.[^.]+>\s+)?x: rejected from <HOST>$", false),
    // As they stand in many a configuration.
    (
        r"(?i): warning: [-._\w]+\[<HOST>\]: SASL (?:LOGIN|PLAIN|(?:CRAM|DIGEST)-MD5) authentication failed(: [ A-Za-z0-9+/]*={0,2})?\s*$",
        true,
    ),
    (
        r": NOQUEUE: reject: RCPT from [-._\w]+\[<HOST>\]: 554 5.7.1 Service unavailable; Client host .* blocked using zen.spamhaus.org;",
        true,
    ),
    (
        r"^ \S+ sshd\[\d+\]: Failed password for .* from <HOST> port \d+ ssh2$",
        true,
    ),
    (r"^ \S+ sshd\[\d+\]: Invalid user .* from <HOST>\s*$", true),
    (r"^.*x: rejected from <HOST>$", true),
    (r"^ \S+ x: .+? from <HOST> bad", true),
    (r"^ \S+ x: \S* .* \[<HOST>\]$", true),
    (r"^ \S+ x: [\w .@<>\[\]=-]+ from <HOST> bad", true),
    // What only a search understands.
    (r#"^ \S+ x: (?P<q>["']).*(?P=q) from <HOST> bad"#, true),
    (r"^ \S+ x: (?:(?P<a>user) )?(?(a).* )from <HOST> bad", true),
    (r"^(?=.* from <HOST> bad)", true),
    // Whatever may be to blame.
    (r"^ \S+ x: .* from <IP6> bad", true),
    (r"^ \S+ x: .* from <DNS> bad", true),
    (r"^ \S+ x: .* from (?:<IP4>|<IP6>) bad", true),
    (r"^ \S+ x: (?:v4 <IP4>|v6 .* <IP6>) bad", true),
    (r"^ \S+ x: .* from <F-ID>\S+</F-ID> bad", true),
    (r"^ \S+ x: .* from (?P<ip4>\S+) bad", true),
    (r"^ \S+ x: .* from <SUBNET> bad", true),
];

#[test]
fn those_are_warned_of_that_can_be_led_astray_and_no_others() {
    for (failregex, expected) in CASES {
        let warned = warned(None, failregex);
        assert!(
            warned.iter().all(|warning| warning.contains("can be led astray")),
            "{warned:?}"
        );
        assert_eq!(!warned.is_empty(), expected, "{failregex} {warned:?}");
    }
}

#[test]
fn failures_of_several_lines_are_examined_line_by_line() {
    let warned = |failregex| {
        let mut definition = Definition::of_regex(failregex);
        definition.replace("maxlines", Value::given(&Place::file(Path::new("x")), "3"));
        warnings(&Arc::new(Filter::compile(&definition).unwrap()))
    };
    assert_eq!(warned(r"^x: connect$<SKIPLINES>^x: denied <HOST>$"), []);
    assert_eq!(warned(r"^x: user .* from <HOST>$<SKIPLINES>^x: denied$").len(), 1);
    assert_eq!(warned(r"^x: user .*$<SKIPLINES>^x: denied <HOST>$"), []);
}

#[test]
fn our_own_filters_hold_in_every_mode() {
    let folder = tempfile::tempdir().unwrap();
    let modes = [
        (
            "postfix",
            "more normal rbl auth extra ddos errors abuse aggressive spam unknown",
        ),
        ("dovecot", "normal aggressive"),
        ("exim", "normal rbl aggressive"),
        ("sendmail", "normal rbl ddos aggressive"),
        ("opensmtpd", "normal aggressive"),
        ("rspamd", "normal"),
    ];
    for (name, modes) in modes {
        for mode in modes.split(' ') {
            let named = Named::parse(&format!("{name}[mode={mode}]")).unwrap();
            let read = config::filter(Folder::Given(folder.path()), &named);
            let filter = Arc::new(Filter::compile_partial(read).unwrap());
            assert_eq!(warnings(&filter), [], "{name} {mode}");
        }
    }
}

#[test]
fn an_ignoreregex_for_lines_with_nothing_in_it_saves_no_expression_that_reaches_past_the_address() {
    let mut definition = Definition::of_regex(r"^ \S+ dovecot: imap-login: Aborted: user=<.*>, rip=<HOST>, lip=");
    let place = Place::file(Path::new("x"));
    definition.replace("ignoreregex", Value::given(&place, "user=<>"));
    let filter = Arc::new(Filter::compile(&definition).unwrap());
    assert_eq!(warnings(&filter).len(), 1);
    assert_eq!(
        warned(None, r"^ \S+ dovecot: user=<(?!>).*>, rip=<HOST>, lip=").len(),
        1
    );
}

#[test]
fn an_expression_that_takes_a_part_of_the_address_is_told_as_such() {
    for failregex in ["^.*<ADDR>", "^ .*<HOST>.*$"] {
        let warned = warned(None, failregex);
        assert_eq!(warned.len(), 1, "{failregex}");
        assert!(warned[0].contains("such as a part of it"), "{warned:?}");
    }
}
