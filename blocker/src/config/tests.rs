use std::fs;
use std::net::IpAddr;

use jiff::SignedDuration;
use tempfile::TempDir;

use super::*;
use crate::filter::Finding;
use crate::jail::BanTime;

/// The operator's configuration that has to work as it is.
const JAIL_CONF: &str = "# jail.conf
[spam]
enabled  = true
filter   = spam
action   = iptables[name=SPAM, port=smtp, protocol=tcp]
logpath  = /var/log/mail.log
bantime  = 3600
ignoreip = 192.0.2.10 198.51.100.0/24
maxretry = 2
";
const SPAM_CONF: &str = "[Definition]\nfailregex = from <HOST>:\nignoreregex =\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

fn load_files(files: &[(&str, &str)]) -> Result<Settings, Problems> {
    load(Folder::Given(folder(files).path()))
}

fn problems(jail_conf: &str) -> Vec<String> {
    let files = [("jail.conf", jail_conf), ("filter.d/spam.conf", SPAM_CONF)];
    let problems = load_files(&files).unwrap_err();
    problems.0.iter().map(ToString::to_string).collect()
}

#[test]
fn an_operators_configuration_is_taken_as_it_is() {
    let settings = load_files(&[("jail.conf", JAIL_CONF), ("filter.d/spam.conf", SPAM_CONF)]).unwrap();
    let [jail] = settings.jails.as_slice() else {
        panic!("one jail");
    };
    assert_eq!(jail.name, "spam");
    assert_eq!(jail.scope.to_string(), "tcp/25");
    assert_eq!(jail.logs, [PathBuf::from("/var/log/mail.log")]);
    assert_eq!(jail.rules.ban_time, BanTime::For(SignedDuration::from_hours(1)));
    assert_eq!(jail.rules.find_time, SignedDuration::from_mins(10));
    assert_eq!(jail.rules.max_retry, 2);
    let ignored = ["192.0.2.10/32", "198.51.100.0/24"].map(|text| text.parse::<IpNet>().unwrap());
    assert_eq!(jail.rules.ignore, ignored);
}

#[test]
fn later_files_win_and_keep_what_they_do_not_set() {
    let files = [
        ("jail.conf", JAIL_CONF),
        ("jail.d/10.conf", "[spam]\nmaxretry = 3\nfindtime = 1h\n"),
        ("jail.local", "[DEFAULT]\nbantime = 1w\n[spam]\nmaxretry = 4\n"),
        ("jail.d/20.local", "[spam]\nport = 26\nmaxretry = 5\n"),
        ("filter.d/spam.conf", SPAM_CONF),
        ("filter.d/spam.local", "[Definition]\nfailregex = by <HOST>\n"),
    ];
    let settings = load_files(&files).unwrap();
    let jail = &settings.jails[0];
    assert_eq!(jail.rules.max_retry, 5);
    assert_eq!(jail.rules.find_time, SignedDuration::from_hours(1));
    assert_eq!(
        jail.rules.ban_time,
        BanTime::For(SignedDuration::from_hours(1)),
        "a jail's own value beats [DEFAULT]"
    );
    assert_eq!(
        jail.scope.to_string(),
        "tcp/25",
        "an action's ports come before the jail's"
    );
    assert_eq!(
        jail.filter.find("by 192.0.2.7"),
        Finding::Failure(IpAddr::from([192, 0, 2, 7]))
    );
}

#[test]
fn a_filters_local_file_lies_over_it_key_by_key() {
    let conf = "[Definition]\nfailregex = from <HOST>\nignoreregex = goodguy\n";
    let filter = |local: &str| {
        let files = [
            ("jail.conf", JAIL_CONF),
            ("filter.d/spam.conf", conf),
            ("filter.d/spam.local", local),
        ];
        load_files(&files).map(|settings| settings.jails.into_iter().next().unwrap().filter)
    };
    let failregex = filter("[Definition]\nfailregex = by <HOST>\n").unwrap();
    assert_eq!(failregex.find("by 192.0.2.7 goodguy"), Finding::Ignored);
    assert_eq!(failregex.find("from 192.0.2.7"), Finding::Nothing);
    let ignoreregex = filter("[Definition]\nignoreregex = friend\n").unwrap();
    assert_eq!(ignoreregex.find("from 192.0.2.7 friend"), Finding::Ignored);
    assert!(matches!(
        ignoreregex.find("from 192.0.2.7 goodguy"),
        Finding::Failure(_)
    ));
    let problem = filter("[Definition]\nfailregex = (<HOST>\n").unwrap_err().to_string();
    assert!(problem.contains("spam.local:2:"), "{problem}");
}

#[test]
fn an_ipv4_host_is_ignored_however_it_is_written() {
    let network = |text: &str| jail::network(text).map(|network| network.to_string());
    assert_eq!(network("::ffff:192.0.2.10").unwrap(), "192.0.2.10/32");
    assert_eq!(network("::ffff:198.51.100.7/120").unwrap(), "198.51.100.0/24");
    assert_eq!(network("2001:db8::7/64").unwrap(), "2001:db8::/64");
    assert!(network("::ffff:192.0.2.10/64").is_err());
}

#[test]
fn defaults_hold_for_every_jail_wherever_they_stand() {
    let text = "[spam]\nenabled = true\nport = smtp\n[DEFAULT]\nlogpath = /a /b\nmaxretry = 7\n";
    let settings = load_files(&[("jail.conf", text), ("filter.d/spam.conf", SPAM_CONF)]).unwrap();
    assert_eq!(settings.jails[0].rules.max_retry, 7);
    assert_eq!(settings.jails[0].logs.len(), 2);
}

#[test]
fn a_jail_that_is_not_enabled_is_not_looked_at() {
    let text = format!("{JAIL_CONF}[other]\nnonsense = 1\n");
    assert_eq!(
        load_files(&[("jail.conf", &text), ("filter.d/spam.conf", SPAM_CONF)])
            .unwrap()
            .jails
            .len(),
        1
    );
}

#[test]
fn every_wrong_line_is_reported_with_its_number_and_what_to_do() {
    let text = "[spam]\nenabled = true\nlogpath = mail.log\nbantme = 1h\nbantime = soon\nmaxretry = 0\n\
                ignoreip = 192.0.2.300\nport = smpt\nprotocol = udp\n";
    let all = problems(text);
    let expected = [
        (":4:", "did you mean `bantime`?"),
        (":6:", "from 1 to 1000"),
        (":5:", "no length of time"),
        (":7:", "neither an address nor a network"),
        (":3:", "begin it with `/`"),
        (":9:", "write `tcp`"),
        (":8:", "did you mean `smtp`?"),
    ];
    assert_eq!(all.len(), expected.len(), "{all:#?}");
    for (problem, (line, part)) in all.iter().zip(expected) {
        assert!(
            problem.contains(&format!("jail.conf{line}")) && problem.contains(part),
            "{problem}"
        );
    }
}

#[test]
fn a_filter_that_does_not_exist_is_named_with_those_that_do() {
    let all = problems("[spam]\nenabled = true\nlogpath = /a\nport = 25\nfilter = spma\n");
    assert!(
        all[0].contains("jail.conf:5: jail [spam] cannot use the filter `spma`"),
        "{all:?}"
    );
    assert!(
        all[1].contains("filter.d/spma.conf: there is no such filter") && all[1].ends_with("holds spam"),
        "{all:?}"
    );
}

#[test]
fn a_jail_without_port_or_log_is_refused() {
    let all = problems("[spam]\nenabled = true\n");
    assert!(all[0].contains("jail.conf:1: jail [spam] names no log"), "{all:?}");
    assert!(all[1].contains("names no port"), "{all:?}");
}

#[test]
fn a_folder_without_jails_or_with_none_enabled_is_refused() {
    let missing = load(Folder::Given(Path::new("/nonexistent"))).unwrap_err().to_string();
    assert!(missing.contains("/nonexistent: holds no jail.conf"), "{missing}");
    assert!(problems("[spam]\n")[0].contains("no jail is enabled"));
}

/// The compiled-in jails, by name.
fn builtin_jail(name: &str) -> JailSettings {
    let mut problems = Problems::default();
    let jails = jail::all(&builtin::tree().unwrap(), &mut problems);
    assert_eq!(problems, Problems::default());
    jails.into_iter().find(|jail| jail.name == name).unwrap()
}

#[test]
fn the_compiled_in_jails_find_what_they_are_for() {
    let spammer = Finding::Failure(IpAddr::from([192, 0, 2, 4]));
    let cases = [
        (
            "postfix-spam",
            "NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 554 5.7.1 Service unavailable; Client host [192.0.2.4] blocked using zen.spamhaus.org; https://www.example/q; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<x>",
            spammer,
        ),
        (
            "postfix-spam",
            "NOQUEUE: reject: RCPT from h.example[192.0.2.4]: 454 4.7.1 <a@b.example>: Relay access denied; from=<> to=<a@b.example> proto=ESMTP helo=<x>",
            spammer,
        ),
        (
            "postfix-spam",
            "NOQUEUE: reject: RCPT from unknown[192.0.2.4]:4711: 554 5.7.1 <a@b.example>: Relay access denied; from=<> to=<a@b.example>",
            spammer,
        ),
        (
            "postfix-spam",
            "NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 554 5.7.1 Service unavailable; Client host [192.0.2.4] blocked using zen.spamhaus.org; Error: open resolver; https://www.example/q; from=<>",
            Finding::Ignored,
        ),
        (
            "postfix-spam",
            "NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 554 5.7.1 Service unavailable; Client host [192.0.2.4] blocked using zen.spamhaus.org; answered 127.255.255.254; from=<>",
            Finding::Ignored,
        ),
        (
            "postfix-sasl",
            "warning: unknown[192.0.2.4]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=x",
            spammer,
        ),
        (
            "postfix-sasl",
            "warning: unknown[192.0.2.4]: SASL PLAIN authentication failed: Connection lost to authentication server",
            Finding::Ignored,
        ),
        (
            "postfix-unknown",
            "NOQUEUE: reject: RCPT from h.example[192.0.2.4]: 550 5.1.1 <x@y.example>: Recipient address rejected: User unknown in local recipient table; from=<>",
            spammer,
        ),
        (
            "postfix-unknown",
            "NOQUEUE: reject: RCPT from h.example[192.0.2.4]: 554 5.7.1 <x@y.example>: Relay access denied; from=<>",
            Finding::Nothing,
        ),
    ];
    for (name, message, expected) in cases {
        let jail = builtin_jail(name);
        for tag in [
            " relay postfix/smtpd[12]: ",
            " relay postfix/submission/smtpd[12]: ",
            " relay postfix-in/smtpd[12]: ",
        ] {
            assert_eq!(
                jail.filter.find(&format!("{tag}{message}")),
                expected,
                "{name}: {tag}{message}"
            );
        }
    }
}

/// Each line was caused by 192.0.2.4, who would like 198.51.100.9 to be banned.
#[test]
fn no_compiled_in_filter_blames_whom_an_attacker_names() {
    let spoof =
        "x[198.51.100.9]: 554 5.7.1 Service unavailable; Client host [198.51.100.9] blocked using zen.spamhaus.org;";
    let reject = format!("NOQUEUE: reject: RCPT from {spoof}");
    let login = "warning: x[198.51.100.9]: SASL LOGIN authentication failed: x";
    let mut lines = Vec::new();
    for payload in [
        &reject,
        login,
        &format!("postfix/smtpd[1]: {reject}"),
        &format!(" relay postfix/smtpd[1]: {login}"),
    ] {
        for field in [
            format!(
                "NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 554 5.7.1 <{payload}>: Relay access denied; from=<a@b> to=<c@d>"
            ),
            format!(
                "NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 504 5.5.2 <{payload}>: Helo command rejected: need fully-qualified hostname; from=<a@b>"
            ),
            format!(
                "NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 550 5.1.1 <a@b>: Recipient address rejected: User unknown; from=<{payload}> to=<c@d> helo=<{payload}>"
            ),
            format!("warning: unknown[192.0.2.4]: SASL LOGIN authentication failed: x, sasl_username={payload}"),
            format!("warning: non-SMTP command from unknown[192.0.2.4]: {payload}"),
            format!("warning: hostname {payload} does not resolve to address 192.0.2.4"),
        ] {
            lines.push(format!(" relay postfix/smtpd[12]: {field}"));
        }
        lines.push(format!(" relay postfix/cleanup[12]: 4F: message-id=<{payload}>"));
        lines.push(format!(" relay sshd[12]: Invalid user {payload} from 192.0.2.4"));
    }
    for name in ["postfix-spam", "postfix-sasl", "postfix-unknown"] {
        let jail = builtin_jail(name);
        for line in &lines {
            let found = jail.filter.find(line);
            assert_ne!(
                found,
                Finding::Failure("198.51.100.9".parse().unwrap()),
                "{name}: {line}"
            );
        }
    }
}
