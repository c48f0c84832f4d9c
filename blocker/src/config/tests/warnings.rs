//! What is doubtful and no reason not to start.

use super::*;

fn warnings(files: &[(&str, &str)]) -> Vec<String> {
    let warnings = load_files(files).unwrap().warnings;
    warnings.0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_misspelt_filter_parameter_is_told_with_its_line_and_what_was_meant() {
    let text = "[DEFAULT]\nport = 25\nlogpath = /a\n[rbl]\nenabled = true\nfilter = postfix[mood=rbl]\n";
    let told = warnings(&[("jail.conf", text)]);
    let [told] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        told.contains("jail.conf:6: jail [rbl]: filter: nothing in the filter `postfix`"),
        "{told}"
    );
    assert!(told.ends_with("did you mean `mode`?"), "{told}");
}

#[test]
fn a_parameter_that_only_the_jails_own_expression_asks_for_is_in_order() {
    let text = "[spam]\nenabled = true\nport = 25\nlogpath = /a\nfilter = spam[who=nobody]\n\
                failregex = ^%(known/who)s from <HOST>$\n";
    let filter = "[Definition]\nfailregex = ^from <HOST>$\n";
    let files = [("jail.conf", text), ("filter.d/spam.conf", filter)];
    assert_eq!(warnings(&files), [] as [&str; 0]);
    let settings = load_files(&files).unwrap();
    assert!(fails(&settings.jails[0], "nobody from 192.0.2.7"));
}

#[test]
fn a_log_that_a_jail_names_twice_is_read_once_and_told_of() {
    let logs = folder(&[("mail.log", ""), ("other.log", "")]);
    std::os::unix::fs::symlink(logs.path().join("mail.log"), logs.path().join("maillog")).unwrap();
    let at = logs.path().display();
    let read = |logpath: &str| {
        let text = format!("[spam]\nenabled = true\nport = 25\nfilter = rspamd\nlogpath = {logpath}\n");
        let settings = load_files(&[("jail.conf", &text)]).unwrap();
        let told: Vec<String> = settings.warnings.0.iter().map(ToString::to_string).collect();
        (settings.jails[0].logs.len(), told)
    };
    for (logpath, first) in [
        (format!("{at}/mail.log {at}/maillog"), "/mail.log`"),
        (format!("{at}/*.log\n  {at}/mail.log"), "/*.log`"),
        (format!("{at}/other.log {at}/mail.log {at}/other.log"), "/other.log`"),
    ] {
        let (count, told) = read(&logpath);
        assert!(count <= 2, "{logpath}");
        let [told] = told.as_slice() else {
            panic!("{logpath}: {told:?}");
        };
        let said =
            told.contains("jail.conf:5: jail [spam]: logpath:") && told.contains(&format!("{first} names already"));
        assert!(said, "{told}");
    }
    assert_eq!(
        read(&format!("{at}/mail*")),
        (1, Vec::new()),
        "one pattern finds a file and its link"
    );
}

#[test]
fn what_several_jails_share_is_told_once() {
    let text = "[DEFAULT]\nport = 99999,smpt\nlogpath = /a\nbantime = soon\nfilter = bad\n\
                [one]\nenabled = true\n[two]\nenabled = true\nmaxretry = 0\n[three]\nenabled = true\nmaxretry = 0\n";
    let bad = "[Definition]\nfailregex = ^(<HOST>\n";
    let all = load_files(&[("jail.conf", text), ("filter.d/bad.conf", bad)])
        .unwrap_err()
        .to_string();
    let count = |part: &str| all.matches(part).count();
    assert_eq!(count(":4: bantime: `soon`"), 1, "{all}");
    assert_eq!(count(":2: port: unknown port `99999`"), 1, "{all}");
    assert_eq!(count(":2: port: unknown port `smpt`"), 1, "{all}");
    assert_eq!(count("bad.conf:2:"), 1, "{all}");
    for own in [":10: jail [two]: maxretry:", ":13: jail [three]: maxretry:"] {
        assert_eq!(count(own), 1, "{own} is each jail's own: {all}");
    }
}

#[test]
fn the_examination_of_expressions_keeps_no_agent_from_starting() {
    let slow = format!("[Definition]\nfailregex = ^{}<HOST> x\n", "a.*".repeat(400));
    let files: Vec<(String, String)> = (0..9)
        .map(|n| (format!("filter.d/slow{n}.conf"), format!("# {n}\n{slow}")))
        .collect();
    let jails: String = (0..9)
        .map(|n| format!("[jail{n}]\nenabled = true\nfilter = slow{n}\nport = smtp\nlogpath = /var/log/mail.log\n"))
        .collect();
    let mut all = vec![("jail.conf", jails.as_str())];
    all.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let settings = load_files(&all).unwrap();
    let left_out = settings
        .warnings
        .0
        .iter()
        .filter(|warning| warning.what.contains("others took too long"));
    assert!(left_out.count() > 0, "{:?}", settings.warnings);
}
