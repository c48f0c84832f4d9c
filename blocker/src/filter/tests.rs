use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::date::Cut;
use super::definition::{Definition, LogType};
use super::identity::Identity;
use super::layers::Files;
use super::matcher::{Found, Matcher, Search};
use super::trial::{Clock, Trial};
use super::*;

/// As an operator wrote it for fail2ban.
const SPAM: &str = r"# filter.d/spam.conf
[Definition]
failregex = : NOQUEUE: reject: RCPT from [-._\w]+\[<HOST>\]: 554 5.7.1 Service unavailable; Client host .* blocked using (zen.spamhaus.org|combined.njabl.org);
            : NOQUEUE: reject: RCPT from [-._\w]+\[<HOST>\]: 554 5.7.1 .*(domain1|domain2|domain3|domain4).com>: Relay access denied;
ignoreregex =
";

/// One file, and none beside it.
struct One<'a>(&'a str);

impl Files for One<'_> {
    fn read(&self, path: &Path) -> std::io::Result<Option<String>> {
        Ok((path == Path::new("filter.d/spam.conf")).then(|| self.0.to_owned()))
    }
}

fn compile_with(text: &str, parameters: &[(&str, &str)]) -> Result<Arc<Filter>, Problems> {
    let parameters: Vec<(String, String)> = parameters
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let read = Definition::read(
        &One(text),
        &[PathBuf::from("filter.d/spam.conf")],
        &parameters,
        LogType::File,
    );
    Filter::compile_partial(read).map(Arc::new)
}

fn matcher(text: &str) -> Matcher {
    Matcher::new(compile_with(text, &[]).unwrap(), Search::First)
}

fn problems(text: &str) -> Vec<String> {
    compile_with(text, &[])
        .unwrap_err()
        .0
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn apply(matcher: &mut Matcher, line: &str) -> Found {
    apply_at(matcher, line, 1_000_000_000)
}

fn apply_at(matcher: &mut Matcher, line: &str, second: i64) -> Found {
    matcher.apply(&Cut::undated(line, Timestamp::from_second(second).unwrap()))
}

/// Who failed; nobody where the line is ignored or shows nothing.
fn who(matcher: &mut Matcher, line: &str) -> Vec<String> {
    let hits = apply(matcher, line).hits;
    let failures = hits.into_iter().filter(matcher::Hit::is_failure);
    failures.map(|hit| hit.identity.unwrap().to_string()).collect()
}

#[test]
fn an_operators_filter_finds_what_it_was_written_for() {
    let mut filter = matcher(SPAM);
    let lines = [
        (
            " relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <a@domain1.com>: Relay access denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<spam.example>",
            Some("192.0.2.7"),
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from mail.example[192.0.2.7]: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://www.example/query; from=<x@y.example>",
            Some("192.0.2.7"),
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[2001:db8::7]: 554 5.7.1 <a@domain4.com>: Relay access denied; from=<>",
            Some("2001:db8::7"),
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[::ffff:192.0.2.7]: 554 5.7.1 <a@domain4.com>: Relay access denied; from=<>",
            Some("192.0.2.7"),
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <a@domain5.com>: Relay access denied; from=<>",
            None,
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 450 4.7.25 Client host rejected: cannot find your hostname",
            None,
        ),
        (" relay postfix/smtpd[1]: connect from unknown[192.0.2.7]", None),
    ];
    for (line, expected) in lines {
        assert_eq!(who(&mut filter, line).first().map(String::as_str), expected, "{line}");
    }
}

#[test]
fn an_address_with_impossible_numbers_is_no_address() {
    let mut filter = matcher("[Definition]\nfailregex = from <HOST>:\n");
    let identity = |found: Found| found.hits.into_iter().next().and_then(|hit| hit.identity);
    assert_eq!(
        identity(apply(&mut filter, "from 192.0.2.300:")),
        Some(Identity::Other("192.0.2.300".to_owned()))
    );
    assert_eq!(
        identity(apply(&mut filter, "from mail.example:")),
        Some(Identity::Name("mail.example".to_owned()))
    );
}

#[test]
fn a_network_is_one_where_the_filter_asks_for_it() {
    let mut filter = matcher("[Definition]\nfailregex = ^from <SUBNET>$\n");
    assert_eq!(who(&mut filter, "from 192.0.2.4/24"), ["192.0.2.0/24"]);
    assert_eq!(who(&mut filter, "from 192.0.2.4/32"), ["192.0.2.4"]);
    assert_eq!(who(&mut filter, "from [2001:db8::4]"), ["2001:db8::4"]);
}

#[test]
fn no_line_speaks_for_everybody() {
    let mut filter = matcher("[Definition]\nfailregex = ^from <SUBNET>$\n");
    let identity = apply(&mut filter, "from 192.0.2.4/0").hits.remove(0).identity;
    assert_eq!(identity, Some(Identity::Other("192.0.2.4/0".to_owned())));
}

#[test]
fn several_groups_may_be_an_identity_together() {
    let text = "[Definition]\nfailregex = ^<F-ID>\\S+</F-ID> <F-TUPLE_ID>\\S+</F-TUPLE_ID> <F-TUPLE_ID_2>\\S+</F-TUPLE_ID_2>$\n";
    assert_eq!(who(&mut matcher(text), "a b c"), ["('a', 'b', 'c')"]);
}

#[test]
fn prefix_and_ignoreregex_see_several_lines_as_one_text() {
    let text = "[Definition]\nmaxlines = 3\nfailregex = ^a <ADDR>$<SKIPLINES>^b$\nignoreregex = ^b$\n";
    let mut filter = matcher(text);
    for line in ["a 192.0.2.7", "x"] {
        assert!(who(&mut filter, line).is_empty());
    }
    assert_eq!(who(&mut filter, "b"), ["192.0.2.7"]);
    let text = "[Definition]\nmaxlines = 3\nprefregex = ^p <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^a <ADDR>$\n";
    let mut filter = matcher(text);
    assert!(who(&mut filter, "x").is_empty());
    assert!(who(&mut filter, "p a 192.0.2.7").is_empty(), "the text begins with x");
}

#[test]
fn what_a_filter_takes_for_identity_comes_before_the_address() {
    let mut filter = matcher("[Definition]\nfailregex = ^<F-ID>\\w+</F-ID> from <ADDR>$\n");
    let hit = apply(&mut filter, "bob from 192.0.2.4").hits.remove(0);
    assert_eq!(hit.identity, Some(Identity::Other("bob".to_owned())));
    assert_eq!(hit.address, Some(IpAddr::from([192, 0, 2, 4])));
}

#[test]
fn ignoreregex_takes_back_what_failregex_found() {
    let mut filter = matcher("[Definition]\nfailregex = from <ADDR>\nignoreregex = to postmaster\n");
    let found = apply(&mut filter, "from 192.0.2.7 to postmaster");
    assert_eq!((found.hits.len(), found.ignored), (0, Some(0)));
    assert_eq!(apply(&mut filter, "to postmaster"), Found::default());
}

#[test]
fn few_ignoreregexes_see_the_whole_line_and_many_what_the_prefix_left() {
    let filter = |failregexes: usize| {
        let failregex = "            ^from <ADDR>$\n".repeat(failregexes);
        matcher(&format!(
            "[Definition]\nprefregex = ^friend: <F-CONTENT>.+</F-CONTENT>$\nfailregex =\n{failregex}ignoreregex = ^friend\n"
        ))
    };
    assert_eq!(who(&mut filter(3), "friend: from 192.0.2.7"), ["192.0.2.7"]);
    assert!(who(&mut filter(4), "friend: from 192.0.2.7").is_empty());
}

#[test]
fn the_prefix_comes_first_and_its_facts_stay() {
    let text = "[Definition]\nprefregex = ^<F-USER>\\w+</F-USER>: <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^from <ADDR>(?: as <F-USER>\\w+</F-USER>)?$\n";
    let mut filter = matcher(text);
    let facts = |found: Found| found.hits[0].facts.to_string();
    assert_eq!(
        facts(apply(&mut filter, "bob: from 192.0.2.7")),
        "ip4=192.0.2.7 user=bob"
    );
    assert_eq!(
        facts(apply(&mut filter, "bob: from 192.0.2.7 as eve")),
        "ip4=192.0.2.7 user=eve"
    );
    assert_eq!(apply(&mut filter, "from 192.0.2.7"), Found::default());
}

#[test]
fn a_jails_parameter_counts_before_init_and_that_before_definition() {
    let text =
        "[Definition]\nfailregex = <re-<mode>>\nre-a = ^a <ADDR>\nre-b = ^b <ADDR>\nre-c = ^c <ADDR>\nmode = a\n";
    let first = |text: &str, parameters: &[(&str, &str)]| {
        let filter = compile_with(text, parameters).unwrap();
        filter.failregex()[0].text.to_string()
    };
    assert_eq!(first(text, &[]), "^a <ADDR>");
    let with_init = format!("{text}[Init]\nmode = b\n");
    assert_eq!(first(&with_init, &[]), "^b <ADDR>");
    assert_eq!(first(&with_init, &[("mode", "c")]), "^c <ADDR>");
}

#[test]
fn the_logs_type_is_known_unless_the_definition_says_it() {
    let first = |text: &str, parameters: &[(&str, &str)]| {
        let filter = compile_with(text, parameters).unwrap();
        filter.failregex()[0].text.to_string()
    };
    let text = "[lt_file]\nx = FF\n[lt_short]\nx = SS\n[Definition]\nfailregex = a <lt_<logtype>/x> <HOST>\n";
    assert_eq!(first(text, &[]), "a FF <HOST>");
    assert_eq!(first(text, &[("logtype", "short")]), "a SS <HOST>");
    assert_eq!(first(&format!("{text}logtype = short\n"), &[]), "a SS <HOST>");
    assert_eq!(
        first(&format!("[DEFAULT]\nlogtype = short\n{text}"), &[]),
        "a FF <HOST>"
    );
}

#[test]
fn a_parameter_may_add_to_what_the_filter_has() {
    let text = "[Definition]\nfailregex = ^a <HOST>\n[DEFAULT]\nx = 0\n";
    let filter = compile_with(text, &[("failregex", "<known/failregex> ^z")]).unwrap();
    assert_eq!(&*filter.failregex()[0].text, "^a <HOST> ^z");
}

#[test]
fn a_session_joins_the_address_of_one_line_with_the_failure_of_another() {
    let text = "[Definition]\n\
        failregex = ^<F-MLFID>\\d+</F-MLFID> <F-NOFAIL>connected</F-NOFAIL> from <ADDR>$\n  \
                    ^<F-MLFID>\\d+</F-MLFID> failed for <F-USER>\\w+</F-USER>$\n  \
                    ^<F-MLFID>\\d+</F-MLFID> <F-MLFFORGET><F-NOFAIL>gone</F-NOFAIL></F-MLFFORGET>$\n";
    let mut filter = matcher(text);
    assert!(who(&mut filter, "1 connected from 192.0.2.7").is_empty());
    assert!(who(&mut filter, "2 connected from 192.0.2.8").is_empty());
    assert_eq!(who(&mut filter, "1 failed for bob"), ["192.0.2.7"]);
    assert_eq!(who(&mut filter, "2 failed for eve"), ["192.0.2.8"]);
    assert!(who(&mut filter, "1 gone").is_empty());
    assert!(who(&mut filter, "1 failed for bob").is_empty(), "the session is over");
    assert!(who(&mut filter, "3 failed for bob").is_empty(), "nobody is known yet");
    let late = apply_at(&mut filter, "2 failed for eve", 1_000_000_301).hits;
    assert!(
        !late.iter().any(matcher::Hit::is_failure),
        "a session ends after five minutes"
    );
}

#[test]
fn more_sessions_than_are_kept_forget_the_first() {
    let text = "[Definition]\nfailregex = ^<F-MLFID>\\d+</F-MLFID> <F-NOFAIL>connected</F-NOFAIL> from <ADDR>$\n  ^<F-MLFID>\\d+</F-MLFID> failed$\n";
    let mut filter = matcher(text);
    for id in 0..2000 {
        apply(&mut filter, &format!("{id} connected from 192.0.2.7"));
    }
    assert!(who(&mut filter, "1 failed").is_empty());
    assert_eq!(who(&mut filter, "1999 failed"), ["192.0.2.7"]);
}

#[test]
fn a_failure_may_take_several_lines_with_others_between() {
    let text =
        "[Definition]\nmaxlines = 4\nfailregex = ^(?P<n>\\d+) connected from <ADDR>$<SKIPLINES>^(?P=n) failed$\n";
    let mut filter = matcher(text);
    for line in ["1 connected from 192.0.2.7", "2 connected from 192.0.2.8"] {
        assert!(who(&mut filter, line).is_empty());
    }
    let found = apply(&mut filter, "1 failed");
    assert_eq!(found.hits[0].lines, 2, "the line between is none of it");
    assert_eq!(who(&mut filter, "2 failed"), ["192.0.2.8"], "and is still there");
}

#[test]
fn names_are_not_taken_where_usedns_is_no() {
    let mut filter = matcher("[Definition]\nusedns = no\nfailregex = ^from <HOST>$\n");
    assert!(apply(&mut filter, "from mail.example").hits.is_empty());
    assert_eq!(who(&mut filter, "from 192.0.2.7"), ["192.0.2.7"]);
}

#[test]
fn the_lines_break_is_where_python_has_it() {
    for failregex in ["^<ADDR>$", "^<ADDR>\\s", "^<ADDR>\\s*$", "^<ADDR>\\n", "^<ADDR>\\n\\Z"] {
        let mut filter = matcher(&format!("[Definition]\nfailregex = {failregex}\n"));
        assert_eq!(who(&mut filter, "192.0.2.7"), ["192.0.2.7"], "{failregex}");
    }
}

#[test]
fn a_break_within_a_line_does_not_end_it() {
    let mut filter = matcher("[Definition]\nfailregex = ^.*, relay=<ADDR>$\n");
    assert_eq!(
        who(&mut filter, "x, relay=[198.51.100.9]\n, relay=[192.0.2.7]"),
        ["192.0.2.7"]
    );
}

#[test]
fn every_problem_is_reported_with_its_line_its_text_and_what_to_do() {
    let text = "[Definition]\nfailregex = ^(<HOST>\n            ^no host\n            ^<HOSD>\n            ^<HOST> \\h\nfailregx = x\n\
                ignoreregex = [\ndatepattern = %%Q\n              {DATUM}\nmaxlines = 0\nusedns = maybe\n";
    let expected = [
        ("filter.d/spam.conf:6:", "did you mean `failregex`?"),
        ("filter.d/spam.conf:11:", "none of `yes`"),
        ("filter.d/spam.conf:10:", "from 1 to 1000"),
        ("filter.d/spam.conf:2:", "unclosed group"),
        ("filter.d/spam.conf:4:", "did you mean `HOST`?"),
        ("filter.d/spam.conf:5:", "no escape `\\h`"),
        ("filter.d/spam.conf:7:", "unclosed character class"),
        ("filter.d/spam.conf:3:", "put <HOST> where the address stands"),
        ("filter.d/spam.conf:8:", "%Q"),
        ("filter.d/spam.conf:9:", "{DATUM}"),
    ];
    let all = problems(text);
    assert_eq!(all.len(), expected.len(), "{all:#?}");
    for (problem, (place, part)) in all.iter().zip(expected) {
        assert!(problem.starts_with(place) && problem.contains(part), "{problem}");
    }
}

#[test]
fn a_bad_date_pattern_is_quoted_once() {
    for (pattern, what) in [("%%Y-%%Q", "no field `%Q`"), ("x {DATUM} y", "marker `{DATUM}`")] {
        let all = problems(&format!(
            "[Definition]\nfailregex = ^<HOST>$\ndatepattern = {pattern}\n"
        ));
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].contains(what), "{all:?}");
        assert_eq!(all[0].matches(&pattern.replace("%%", "%")).count(), 1, "{all:?}");
    }
}

#[test]
fn an_error_in_what_was_put_in_names_the_line_where_it_was_written() {
    let text = "[Definition]\nwho = <HOST>\nbad = (%(who)s\nfailregex = ^fine <HOST>$\n            %(bad)s\n            ^also fine %(who)s$\n";
    let all = problems(text);
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].starts_with("filter.d/spam.conf:3:"), "{all:?}");
}

#[test]
fn a_filter_without_failregex_or_definition_is_refused() {
    assert!(problems("[Definition]\nignoreregex =\n")[0].contains("has no failregex"));
    assert!(problems("[Init]\n")[0].contains("has no section [Definition]"));
}

#[test]
fn a_search_given_up_is_counted_and_is_no_match() {
    let mut filter = matcher("[Definition]\nfailregex = ^(?:(?:a|aa)(?!c))+ <ADDR>\n");
    assert!(who(&mut filter, &"a".repeat(60)).is_empty());
    assert_eq!(filter.limit_hits, 1);
}

#[test]
fn a_text_too_long_for_a_backtracking_search_is_not_searched() {
    let mut filter = matcher("[Definition]\nfailregex = ^\\w+(?! good) \\w+ <ADDR>\n");
    let long = "x".repeat(8 * 1024);
    assert_eq!(who(&mut filter, "so bad 192.0.2.7").len(), 1);
    // It has to be searched for where the look-ahead holds.
    assert!(who(&mut filter, &format!("so good 192.0.2.7 {long}")).is_empty());
    assert_eq!(filter.limit_hits, 1);
    assert!(who(&mut filter, &format!("so bad 192.0.2.7 {long}é")).is_empty());
    assert_eq!(filter.limit_hits, 2);
}

#[test]
fn a_long_text_is_found_where_look_ahead_holds_at_once() {
    let mut filter = matcher("[Definition]\nfailregex = ^\\w+(?! good) \\w+ <ADDR>\n");
    let long = "x".repeat(8 * 1024);
    assert_eq!(who(&mut filter, &format!("so bad 192.0.2.7 {long}")).len(), 1);
    assert_eq!(filter.limit_hits, 0);
}

#[test]
fn dates_are_cut_out_of_the_line_that_the_filter_sees() {
    let filter = compile_with("[Definition]\nfailregex = ^\\[\\] from <ADDR>$\n", &[]).unwrap();
    let mut dates = date::DateReader::new(Arc::clone(filter.dates()), TimeZone::UTC);
    let mut matcher = Matcher::new(filter, Search::First);
    let cut = dates.cut(
        "[2024-08-26T01:33:38+00:00] from 192.0.2.7",
        Timestamp::from_second(1_800_000_000).unwrap(),
    );
    assert_eq!(
        matcher.apply(&cut).hits[0].time,
        Some("2024-08-26T01:33:38Z".parse().unwrap())
    );
}

/// Whether a filter finds something in a line, as it is and as the agent shows it lines: by the words that they hold.
fn finds(text: &str, line: &str) -> (bool, bool) {
    let filter = compile_with(text, &[]).unwrap();
    let now = Timestamp::from_second(1_000_000_000).unwrap();
    let mut trial = Trial::new(&filter, Search::First, Clock::Fixed(now));
    let itself = Matcher::new(Arc::clone(&filter), Search::First).apply(&Cut::undated(line, now));
    (!itself.hits.is_empty(), !trial.line(line).hits.is_empty())
}

#[test]
fn what_look_around_finds_lies_over_what_stands_beside_it() {
    for regex in [
        "^auth (?=fail)failure from <ADDR>$",
        "^(?=auth failure)auth.* <ADDR>$",
        "^auth fail(?<=auth fail)ure from <ADDR>$",
        "^(?=.*192)(?:auth|(?=connect)conn).* from <ADDR>$",
    ] {
        let text = format!("[Definition]\nfailregex = {regex}\n");
        assert_eq!(finds(&text, "auth failure from 192.0.2.7"), (true, true), "{regex}");
        assert_eq!(finds(&text, "good by from 192.0.2.7"), (false, false), "{regex}");
    }
}

#[test]
fn the_content_behind_a_prefix_without_facts_is_found() {
    for prefix in [
        "^relay mta\\[\\d+\\]: ",
        "^relay (?:mta|smtpd)\\[\\d+\\]: \\s*",
        "^relay (?:mta\\[\\d+\\]: |x(?!y).*(?=bad))",
        "mta\\[\\d+\\]: ",
    ] {
        let text = format!("[Definition]\nprefregex = {prefix}<F-CONTENT>.+</F-CONTENT>$\nfailregex = ^bad <ADDR>$\n");
        assert_eq!(finds(&text, "relay mta[7]: bad 192.0.2.7"), (true, true), "{prefix}");
        assert_eq!(
            finds(&text, "relay mta[7]: no bad 192.0.2.7"),
            (false, false),
            "{prefix}"
        );
    }
}
