//! The files that the Debian package installs below `/etc/blocker` change nothing, and say what is true.

use super::*;

const BLOCKER_TOML: &str = include_str!("../../../../packaging/etc/blocker.toml");

#[test]
fn the_packages_blocker_toml_sets_nothing_and_names_every_setting_with_its_default() {
    // A setting stands right behind the sign of a comment, a sentence one space further on.
    let is_setting = |line: &&str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_lowercase()))
    };
    let bare: Vec<&str> = BLOCKER_TOML
        .lines()
        .map(|line| if is_setting(&line) { &line[1..] } else { line })
        .collect();
    let defaults = format!("{:#?}", blocker_toml::BlockerToml::default());
    for text in [BLOCKER_TOML.to_owned(), bare.join("\n")] {
        let folder = folder(&[("blocker.toml", text.as_str())]);
        assert_eq!(format!("{:#?}", blocker_toml::read(folder.path()).unwrap()), defaults);
    }
    let settings = BLOCKER_TOML.lines().filter(is_setting).count();
    // Every field stands in a line of its own; those of tables end in `{`.
    let fields = defaults
        .lines()
        .filter(|line| line.starts_with("        ") && line.contains(": ") && !line.starts_with("         "))
        .count();
    assert_eq!(settings, fields, "{defaults}");
}

#[test]
fn the_packages_jail_conf_makes_the_jails_that_are_compiled_in() {
    let folder = folder(&[
        ("jail.conf", include_str!("../builtin/jail.conf")),
        ("blocker.toml", BLOCKER_TOML),
        ("jail.d/README", include_str!("../../../../packaging/etc/jail.d/README")),
        (
            "filter.d/README",
            include_str!("../../../../packaging/etc/filter.d/README"),
        ),
    ]);
    let jails = |folder: Folder<'_>| {
        let settings = load(folder, OnBroken::Refuse).unwrap();
        let jails = settings.jails.iter();
        let jails: Vec<String> = jails
            .map(|jail| {
                format!(
                    "{} {:?} {} {:?} {:?}",
                    jail.name, jail.rules, jail.scope, jail.logs, jail.zone
                )
            })
            .collect();
        assert_eq!(settings.warnings.0.len(), 0);
        jails
    };
    assert_eq!(jails(Folder::Given(folder.path())), jails(Folder::CompiledIn));
}
