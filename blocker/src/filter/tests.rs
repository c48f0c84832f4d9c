use std::path::Path;

use super::*;

/// As an operator wrote it for fail2ban.
const SPAM: &str = r"# filter.d/spam.conf
[Definition]
failregex = : NOQUEUE: reject: RCPT from [-._\w]+\[<HOST>\]: 554 5.7.1 Service unavailable; Client host .* blocked using (zen.spamhaus.org|combined.njabl.org);
            : NOQUEUE: reject: RCPT from [-._\w]+\[<HOST>\]: 554 5.7.1 .*(domain1|domain2|domain3|domain4).com>: Relay access denied;
ignoreregex =
";

fn compile(text: &str) -> Result<Filter, Problems> {
    Filter::compile(&Ini::parse(Path::new("filter.d/spam.conf"), text)?)
}

fn problems(text: &str) -> Vec<String> {
    compile(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn an_operators_filter_finds_what_it_was_written_for() {
    let filter = compile(SPAM).unwrap();
    let spammer = Finding::Failure([192, 0, 2, 7].into());
    let lines = [
        (
            " relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <a@domain1.com>: Relay access denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<spam.example>",
            spammer,
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from mail.example[192.0.2.7]: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://www.example/query; from=<x@y.example>",
            spammer,
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[2001:db8::7]: 554 5.7.1 <a@domain4.com>: Relay access denied; from=<>",
            Finding::Failure("2001:db8::7".parse().unwrap()),
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[::ffff:192.0.2.7]: 554 5.7.1 <a@domain4.com>: Relay access denied; from=<>",
            spammer,
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <a@domain5.com>: Relay access denied; from=<>",
            Finding::Nothing,
        ),
        (
            " relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 450 4.7.25 Client host rejected: cannot find your hostname",
            Finding::Nothing,
        ),
        (
            " relay postfix/smtpd[1]: connect from unknown[192.0.2.7]",
            Finding::Nothing,
        ),
    ];
    for (line, expected) in lines {
        assert_eq!(filter.find(line), expected, "{line}");
    }
}

#[test]
fn an_address_with_impossible_numbers_is_nobody() {
    let filter = compile("[Definition]\nfailregex = from <HOST>:\n").unwrap();
    assert_eq!(filter.find("from 192.0.2.300:"), Finding::Nothing);
    assert_eq!(filter.find("from mail.example:"), Finding::Nothing);
}

#[test]
fn ignoreregex_takes_back_what_failregex_found() {
    let filter = compile("[Definition]\nfailregex = from <ADDR>\nignoreregex = to postmaster\n").unwrap();
    assert_eq!(filter.find("from 192.0.2.7 to postmaster"), Finding::Ignored);
    assert_eq!(filter.find("to postmaster"), Finding::Nothing);
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let text = "[Definition]\nfailregex = ^(<HOST>\n            ^no host\n            ^<HOSD>\nfailregx = x\nignoreregex = [\n";
    let all = problems(text);
    let expected = [
        ("filter.d/spam.conf:5:", "did you mean `failregex`?"),
        ("filter.d/spam.conf:2:", "unclosed group"),
        ("filter.d/spam.conf:3:", "put <HOST> where the address stands"),
        ("filter.d/spam.conf:4:", "did you mean `HOST`?"),
        ("filter.d/spam.conf:6:", "unclosed character class"),
    ];
    assert_eq!(all.len(), expected.len(), "{all:#?}");
    for (problem, (place, part)) in all.iter().zip(expected) {
        assert!(problem.starts_with(place) && problem.contains(part), "{problem}");
    }
}

#[test]
fn a_filter_without_failregex_or_definition_is_refused() {
    assert!(problems("[Definition]\nignoreregex =\n")[0].contains("has no failregex"));
    assert!(problems("[Init]\n")[0].contains("has no section [Definition]"));
}
