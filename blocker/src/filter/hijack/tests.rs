use std::path::Path;

use super::*;
use crate::filter::definition::Definition;
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
fn an_expression_that_takes_endless_text_is_left_alone() {
    for failregex in [
        r"^(?:){4000000000}<HOST>",
        r"^(?:){999999999,}x<HOST>",
        r"^(?:(?:(?:){1000,}x{0}){1000,}){1000,}<HOST>",
        r"^(?:(?:(?:(?!y)x{1000}){1000}){1000}){1000}<HOST>",
    ] {
        assert_eq!(warned(None, failregex), [""; 0], "{failregex}");
    }
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
