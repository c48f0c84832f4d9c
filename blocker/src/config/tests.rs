mod packaged;
pub(super) mod settings_page;
mod warnings;

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::ban::Ipv6Prefix;
use crate::filter::date::Cut;
use crate::filter::matcher::{Hit, Matcher, Search};
use crate::jail::{BanTime, Growth, Increment};

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
    load(Folder::Given(folder(files).path()), OnBroken::Refuse)
}

fn problems(jail_conf: &str) -> Vec<String> {
    let files = [("jail.conf", jail_conf), ("filter.d/spam.conf", SPAM_CONF)];
    let problems = load_files(&files).unwrap_err();
    problems.0.iter().map(ToString::to_string).collect()
}

/// Whether a jail counts a failure for a line without its date.
fn fails(jail: &JailSettings, line: &str) -> bool {
    let mut matcher = Matcher::new(Arc::clone(&jail.filter), Search::First);
    let found = matcher.apply(&Cut::undated(line, jiff::Timestamp::UNIX_EPOCH));
    found.hits.iter().any(Hit::is_failure)
}

#[test]
fn an_operators_configuration_is_taken_as_it_is() {
    let settings = load_files(&[("jail.conf", JAIL_CONF), ("filter.d/spam.conf", SPAM_CONF)]).unwrap();
    let [jail] = settings.jails.as_slice() else {
        panic!("one jail");
    };
    assert_eq!(jail.name, "spam");
    assert_eq!(jail.scope.to_string(), "tcp/25");
    assert_eq!(jail.logs, [Log::Files("/var/log/mail.log".into())]);
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
    assert!(fails(jail, "by 192.0.2.7"));
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
        load_files(&files).map(|settings| settings.jails.into_iter().next().unwrap())
    };
    let failregex = filter("[Definition]\nfailregex = by <HOST>\n").unwrap();
    assert!(!fails(&failregex, "by 192.0.2.7 goodguy"));
    assert!(fails(&failregex, "by 192.0.2.7"));
    assert!(!fails(&failregex, "from 192.0.2.7"));
    let ignoreregex = filter("[Definition]\nignoreregex = friend\n").unwrap();
    assert!(!fails(&ignoreregex, "from 192.0.2.7 friend"));
    assert!(fails(&ignoreregex, "from 192.0.2.7 goodguy"));
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
fn a_scope_is_what_the_actions_name_or_else_the_jail() {
    let scope = |lines: &str| {
        let text = format!("[spam]\nenabled = true\nlogpath = /a\n{lines}\n");
        let settings = load_files(&[("jail.conf", &text), ("filter.d/spam.conf", SPAM_CONF)]).unwrap();
        settings.jails[0].scope.to_string()
    };
    assert_eq!(scope("port = smtp,465"), "tcp/25,465");
    assert_eq!(scope("port = domain\nprotocol = udp"), "udp/53");
    assert_eq!(scope("port = 5060,5061\nprotocol = all"), "tcp/5060-5061 udp/5060-5061");
    assert_eq!(
        scope("action = x[port=\"53\", protocol=\"udp\"]\n         x[port=\"53,853\", protocol=\"tcp\"]"),
        "tcp/53,853 udp/53"
    );
    assert_eq!(
        scope("port = 25\naction = iptables-allports[protocol=udp]"),
        "udp/0-65535"
    );
}

#[test]
fn ipv6_is_banned_by_64_bits_unless_the_jail_says_otherwise() {
    let prefix = |line: &str| {
        let text = format!("[spam]\nenabled = true\nlogpath = /a\nport = 25\n{line}\n");
        let settings = load_files(&[("jail.conf", &text), ("filter.d/spam.conf", SPAM_CONF)]);
        settings.map(|settings| settings.jails[0].rules.ipv6_prefix)
    };
    assert_eq!(prefix("").unwrap(), Ipv6Prefix::SUBNET);
    assert_eq!(prefix("ipv6prefix = 128").unwrap(), Ipv6Prefix::HOST);
    assert_eq!(prefix("ipv6prefix = /48").unwrap(), Ipv6Prefix::new(48).unwrap());
    for wrong in ["0", "129", "all"] {
        let problems = prefix(&format!("ipv6prefix = {wrong}")).unwrap_err().to_string();
        assert!(
            problems.contains("jail.conf:5") && problems.contains("from 1 to 128"),
            "{problems}"
        );
    }
}

#[test]
fn every_wrong_line_is_reported_with_its_number_and_what_to_do() {
    let text = "[spam]\nenabled = true\nlogpath = mail.log\nbantme = 1h\nbantime = soon\nmaxretry = 0\n\
                ignoreip = 192.0.2.300\nport = smpt\nprotocol = udpp\n";
    let all = problems(text);
    let expected = [
        (":4:", "did you mean `bantime`?"),
        (":7:", "neither an address nor a network, nor the name of a host"),
        (":6:", "from 1 to 1000"),
        (":5:", "no length of time"),
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
        all[1].contains("filter.d/spma.conf: there is no such filter") && all[1].ends_with("did you mean `spam`?"),
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
    let refused = |path: &Path| load(Folder::Given(path), OnBroken::Refuse).unwrap_err().to_string();
    let folder = folder(&[("empty/filter.d/x.conf", "")]);
    let empty = refused(&folder.path().join("empty"));
    assert!(empty.contains("/empty: holds no jail.conf"), "{empty}");
    let missing = refused(&folder.path().join("missing"));
    assert!(missing.contains("/missing: there is no such folder"), "{missing}");
    let file = refused(&folder.path().join("empty/filter.d/x.conf"));
    assert!(file.contains("/x.conf: is no folder"), "{file}");
    assert!(problems("[spam]\n")[0].contains("no jail is enabled"));
}

/// A configuration such as a distribution ships: includes, values of values, parameters, a jail's own keys.
const STOCK: [(&str, &str); 7] = [
    (
        "jail.conf",
        "[INCLUDES]\nbefore = paths.conf\n[DEFAULT]\nenabled = false\nmode = normal\nfilter = %(__name__)s[mode=%(mode)s]\n\
         protocol = tcp\nport = 0:65535\nbanaction = iptables-multiport\nchain = <known/chain>\n\
         action_ = %(banaction)s[port=\"%(port)s\", protocol=\"%(protocol)s\", chain=\"%(chain)s\"]\naction = %(action_)s\n\
         usedns = warn\nmaxretry = 5\nlogpath = %(mail_log)s\nunused_by_anybody = 1\n\
         [mail]\nport = smtp,465,submission\n[quiet]\nport = nonsense\n",
    ),
    ("paths.conf", "[DEFAULT]\nmail_log = /var/log/mail.log\n"),
    (
        "jail.local",
        "[mail]\nenabled = true\nmode = strict\nfailregex = %(known/failregex)s\n            ^extra %(known/_who)s <HOST> 5%%$\nbantime.increment = true\n",
    ),
    (
        "filter.d/mail.conf",
        "[INCLUDES]\nbefore = shared.conf\n[Definition]\nfailregex = ^<_who>: <re-<mode>>$\nre-normal = x <HOST>\nre-strict = y <HOST>\n",
    ),
    (
        "filter.d/shared.conf",
        "[DEFAULT]\n_who = nobody\n[INCLUDES]\nafter = shared.local\n",
    ),
    ("filter.d/shared.local", "[DEFAULT]\n_who = somebody\n"),
    ("filter.d/mail.d/10.conf", "[DEFAULT]\n_who = relay\n"),
];

#[test]
fn a_distributions_configuration_is_taken_as_it_is() {
    let settings = load_files(&STOCK).unwrap();
    let [jail] = settings.jails.as_slice() else {
        panic!("one jail");
    };
    assert_eq!(jail.scope.to_string(), "tcp/25,465,587");
    assert_eq!(jail.logs, [Log::Files("/var/log/mail.log".into())]);
    assert!(fails(jail, "relay: y 192.0.2.7"));
    assert!(!fails(jail, "relay: x 192.0.2.7"), "that is another mode's");
    assert!(fails(jail, "extra relay 192.0.2.7 5%"), "the jail's own expression");
    assert!(settings.warnings.0.is_empty(), "{:#?}", settings.warnings);
    let increment = jail.rules.increment.as_ref().expect("bans grow");
    assert_eq!(increment.growth, Growth::Doubling);
}

#[test]
fn how_bans_grow_is_read_and_what_cannot_be_run_is_refused_with_its_line() {
    let jail = "[mail]\nenabled = true\nport = 25\nlogpath = /a\nfilter = postfix\nbantime.increment = yes\n";
    let more = "bantime.multipliers = 1 5 30\nbantime.factor = 2\nbantime.maxtime = 1w\nbantime.rndtime = 8m\nbantime.overalljails = yes\n";
    let settings = load_files(&[("jail.conf", &format!("{jail}{more}"))]).unwrap();
    let expected = Increment {
        growth: Growth::Multipliers(vec![1, 5, 30]),
        factor: 2.0,
        max_time: Some(SignedDuration::from_hours(7 * 24)),
        random_time: SignedDuration::from_mins(8),
        overall_jails: true,
    };
    assert_eq!(settings.jails[0].rules.increment, Some(expected));

    let wrong = problems(&format!("{jail}bantime.formula = ban.Time * 3\n")).concat();
    assert!(
        wrong.contains(":7: ") && wrong.contains("bantime.multipliers"),
        "{wrong}"
    );
    let misspelt = problems(&format!("{jail}bantime.maxtimes = 3\n")).concat();
    assert!(misspelt.contains("did you mean `bantime.maxtime`?"), "{misspelt}");
}

#[test]
fn what_a_jail_names_and_nobody_defines_is_refused_with_its_line() {
    let all =
        problems("[spam]\nenabled = true\nport = 25\nlogpath = %(mail_lgo)s\nmail_log = /a\nfilter = spam[mode\n");
    assert!(
        all.iter()
            .any(|problem| problem.contains("jail.conf:4:") && problem.contains("did you mean `mail_log`?")),
        "{all:?}"
    );
    assert!(
        all.iter()
            .any(|problem| problem.contains("jail.conf:6:") && problem.contains("write `name=value`")),
        "{all:?}"
    );
}

#[test]
fn a_slip_of_the_finger_for_all_jails_is_refused_even_where_broken_ones_are_skipped() {
    let text = format!("[DEFAULT]\nignorip = 203.0.113.0/24\nmy_own_name = 1\n{JAIL_CONF}");
    let files = [("jail.conf", text.as_str()), ("filter.d/spam.conf", SPAM_CONF)];
    let problems = load(Folder::Given(folder(&files).path()), OnBroken::Skip)
        .unwrap_err()
        .to_string();
    assert!(
        problems.contains("jail.conf:2:") && problems.contains("did you mean `ignoreip`?"),
        "{problems}"
    );
    assert!(!problems.contains("my_own_name"), "{problems}");
}

#[test]
fn what_would_ban_the_wrong_host_is_refused() {
    let text = "[spam]\nenabled = true\nport = 25\nlogpath = /a\nignorecommand = /bin/friend <F-USER>\n";
    let all = problems(text);
    assert!(
        all[0].contains("jail.conf:5:") && all[0].contains("`<F-USER>`"),
        "{all:?}"
    );
}

#[test]
fn whom_a_jail_ignores_is_read_in_every_way_it_is_written() {
    let text = "[spam]\nenabled = true\nport = 25\nlogpath = /a\nignoreip = 127.0.0.1/8 ::1, relay.example localhost\n\
                ignoreself = false\nignorecommand = %(fail2ban_confpath)s/friend <ip>\n\
                ignorecache = key=\"<ip>\", max-count=10, max-time=1m\n";
    let settings = load_files(&[("jail.conf", text), ("filter.d/spam.conf", SPAM_CONF)]).unwrap();
    let jail = &settings.jails[0];
    assert_eq!(jail.rules.ignore.len(), 2);
    let names: Vec<String> = jail.ignored_names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["relay.example", "localhost"]);
    let command = jail.ignore_command.as_ref().unwrap();
    assert!(
        command
            .line("192.0.2.7".parse().unwrap())
            .ends_with("/friend 192.0.2.7")
    );
    assert_eq!((command.max_count, command.max_time.as_secs()), (10, 60));
    let warned = |part: &str| {
        let mut warnings = settings.warnings.0.iter();
        warnings.any(|warning| warning.what.contains(part) && warning.place.line == 6)
    };
    assert!(warned("ignoreself: has no effect"), "{:?}", settings.warnings);
}

#[test]
fn a_jail_reads_the_journal_where_its_backend_says_so() {
    let journal = "[spam]\nenabled = true\nport = 25\nbackend = systemd[journalpath=/run/j]\n";
    let filter = "[Definition]\nfailregex = <lt_<logtype>/x> <HOST>\njournalmatch = _COMM=a + _COMM=b\n\
                  [lt_file]\nx = FF\n[lt_journal]\nx = JJ\n";
    let load = |jail: &str| load_files(&[("jail.conf", jail), ("filter.d/spam.conf", filter)]);
    let settings = load(journal).unwrap();
    let [jail] = settings.jails.as_slice() else {
        panic!("one jail");
    };
    assert_eq!(jail.logs[0].to_string(), "journal /run/j _COMM=a + _COMM=b");
    assert!(fails(jail, "JJ 192.0.2.7") && !fails(jail, "FF 192.0.2.7"));
    let own = load(&format!("{journal}journalmatch = SYSLOG_FACILITY=2\n")).unwrap();
    assert_eq!(own.jails[0].logs[0].to_string(), "journal /run/j SYSLOG_FACILITY=2");
    for (line, part) in [
        ("journalmatch = --file=/etc/shadow", "jail.conf:5:"),
        ("backend = systemd[journalpaht=/]", "`journalpaht`"),
    ] {
        let problem = load(&format!("{journal}{line}\n")).unwrap_err().to_string();
        assert!(problem.contains(part), "{problem}");
    }
}

#[test]
fn a_jail_may_read_standard_input() {
    let text = "[spam]\nenabled = true\nport = 25\nlogpath = - /a -\n";
    let settings = load_files(&[("jail.conf", text), ("filter.d/spam.conf", SPAM_CONF)]).unwrap();
    assert_eq!(settings.jails[0].logs, [Log::Input, Log::Files("/a".into())]);
}

#[test]
fn a_broken_jail_does_not_keep_the_others_from_running_where_it_is_skipped() {
    let files = [
        (
            "jail.conf",
            "[spam]\nenabled = true\nport = 25\nlogpath = /a\n[bad]\nenabled = true\nport = 25\nlogpath = /a\n",
        ),
        ("filter.d/spam.conf", SPAM_CONF),
        ("filter.d/bad.conf", "[Definition]\nfailregex = (<HOST>\n"),
    ];
    assert!(load_files(&files).is_err());
    let settings = load(Folder::Given(folder(&files).path()), OnBroken::Skip).unwrap();
    assert_eq!(settings.jails[0].name, "spam");
    assert_eq!(settings.broken[0].name, "bad");
    assert!(settings.broken[0].problems.to_string().contains("bad.conf:2:"));
}

#[test]
fn a_filter_that_the_folder_lacks_is_the_one_compiled_in() {
    let text = "[mail]\nenabled = true\nfilter = postfix[mode=auth]\nport = 25\nlogpath = /a\n";
    let settings = load_files(&[("jail.conf", text)]).unwrap();
    assert!(fails(
        &settings.jails[0],
        " relay postfix/smtpd[12]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: x"
    ));
}

#[test]
fn the_compiled_in_jails_are_sound_and_not_to_be_led_astray() {
    let jails = jail::all(&Tree::builtin().0);
    assert!(jails.broken.is_empty(), "{:#?}", jails.broken);
    assert_eq!(jails.warnings, Problems::default());
    let names: Vec<&str> = jails.sound.iter().map(|jail| jail.name.as_str()).collect();
    for name in ["postfix-spam", "postfix-sasl", "postfix-unknown", "dovecot"] {
        assert!(names.contains(&name), "{names:?}");
    }
}
