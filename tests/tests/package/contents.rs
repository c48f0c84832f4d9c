//! What is in the package, and that its readers take it: dpkg, man, the shells, lintian, and programs that read bills of materials.

use std::fs;

use serde_json::Value;

use super::made::made;
use super::system::{System, WITH_TOOLS};

#[test]
fn lintian_man_and_shells_take_what_the_package_brings() {
    let system = System::new(WITH_TOOLS);
    let name = system.bring(&made().package);
    let found = system.run(&format!(
        "lintian --tag-display-limit 0 --fail-on none --show-overrides {name}"
    ));
    println!("{found}");
    let errors: Vec<&str> = found
        .lines()
        .filter(|line| line.starts_with("E: ") || line.starts_with("W: "))
        .collect();
    assert_eq!(errors, [""; 0]);

    system.install(&made().package);
    let pages = system.run("dpkg --listfiles blocker | grep '/man/.*[.]gz$'");
    assert!(pages.lines().count() >= 15, "{pages}");
    for page in pages.lines() {
        let said = system.run(&format!("man --warnings -E UTF-8 --local-file {page} 2>&1 >/dev/null"));
        assert_eq!(said, "", "{page}");
        let said = system.try_run(&format!("mandoc -T lint -W error {page}"));
        assert!(
            said.status.success(),
            "{page}: {}",
            String::from_utf8_lossy(&said.stdout)
        );
    }
    for (page, word) in [
        ("1 blocker", "replay"),
        ("1 blocker-ban", "--for"),
        ("5 blocker.toml", "max_share"),
    ] {
        let text = system.run(&format!("man {page} | col -b"));
        assert!(text.contains(word), "{text}");
    }

    let bash = "source /usr/share/bash-completion/bash_completion; _completion_loader blocker; COMP_WORDS=(blocker un); COMP_CWORD=1; \
                $(complete -p blocker | sed 's/.*-F \\([^ ]*\\).*/\\1/') blocker un blocker; echo \"${COMPREPLY[@]}\"";
    assert_eq!(
        system.run(&format!("bash -c '{}'", bash.replace('\'', "'\\''"))).trim(),
        "unban"
    );
    let fish = system.run("fish --command 'complete --do-complete \"blocker un\"'");
    assert!(fish.starts_with("unban"), "{fish}");
    let zsh = system.run("zsh -fc 'autoload -Uz compinit && compinit -u -d /tmp/zcompdump && print $_comps[blocker] && autoload +X _blocker && whence _blocker'");
    assert_eq!(zsh, "_blocker\n_blocker\n");
}

#[test]
fn it_depends_on_the_libraries_that_it_is_linked_with_and_on_nothing_else() {
    let system = System::new(WITH_TOOLS);
    let name = system.bring(&made().package);
    let depends = system.run(&format!("dpkg-deb --field {name} Depends"));
    let mut names: Vec<&str> = depends
        .split(", ")
        .filter_map(|one| one.split_whitespace().next())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["libc6", "libnftnl11"], "{depends}");
    let files = system.run(&format!("dpkg-deb --contents {name}"));
    let conffiles = system.run(&format!("dpkg-deb --info {name} conffiles"));
    println!("{files}");
    let mut under_etc: Vec<&str> = conffiles.lines().collect();
    under_etc.sort_unstable();
    assert_eq!(
        under_etc,
        [
            "/etc/blocker/blocker.toml",
            "/etc/blocker/filter.d/README",
            "/etc/blocker/jail.conf",
            "/etc/blocker/jail.d/README",
            "/etc/default/blocker"
        ]
    );
    for file in [
        "usr/share/blocker/grafana/blocker.json",
        "usr/share/blocker/prometheus/blocker.rules.yml",
        "doc/blocker/copyright",
        "doc/blocker/docs/adr/index.md",
        "doc/blocker/docs/images/page.png",
        "doc/blocker/blocker-0.1.0.cdx.json",
        "doc/blocker/blocker-ebpf-0.1.0.cdx.json",
    ] {
        assert!(files.contains(file), "{file} in {files}");
    }
}

#[test]
fn the_bills_of_materials_name_what_is_in_it_with_version_and_licence() {
    let expected: [&[&str]; 2] = [
        &["aya", "tokio", "rusqlite", "blocker-common"],
        &["aya-ebpf", "blocker-common"],
    ];
    for (bill, crates) in made().bills.iter().zip(expected) {
        let bill: Value = serde_json::from_str(&fs::read_to_string(bill).unwrap()).unwrap();
        assert_eq!(bill["bomFormat"], "CycloneDX");
        let components = bill["components"].as_array().unwrap();
        for name in crates {
            let component = components.iter().find(|component| component["name"] == *name).unwrap();
            assert!(
                component["version"]
                    .as_str()
                    .is_some_and(|version| version.contains('.')),
                "{component}"
            );
        }
        for component in components {
            let licence = component["licenses"][0]["expression"].as_str();
            assert!(licence.is_some_and(|licence| !licence.is_empty()), "{component}");
        }
        let tests_only = components.iter().find(|component| component["name"] == "proptest");
        assert_eq!(tests_only, None);
    }
}

/// Words that the licences which deny.toml allows begin to grant or to ask something with.
const GRANTS: [&str; 4] = [
    "ermission",
    "Redistribution and use",
    "TERMS AND CONDITIONS FOR USE",
    "expressed or implied warranty",
];

#[test]
fn each_crate_of_the_bills_has_the_texts_of_its_licence_in_the_package() {
    let system = System::new(WITH_TOOLS);
    let name = system.bring(&made().package);
    let read = |file: &str| {
        let path = format!("./usr/share/doc/blocker/{file}");
        system.run(&format!(
            "dpkg-deb --fsys-tarfile {name} | tar --extract --to-stdout {path} | zcat"
        ))
    };
    let licences = read("third-party-licences.txt.gz");
    let (listed, texts) = licences.split_once("\n==== 1 ====\n").unwrap();
    let texts: Vec<&str> = texts.split("\n==== ").collect();
    let texts_of = |work: &str| -> Vec<&str> {
        let line = listed.lines().find(|line| line.starts_with(work));
        let line = line.unwrap_or_else(|| panic!("{work} in {listed}"));
        let (_, numbers) = line.trim_end_matches(']').rsplit_once('[').unwrap();
        let numbers = numbers.split(", ").map(|number| number.parse::<usize>().unwrap());
        numbers.map(|number| texts[number - 1]).collect()
    };
    let mut crates = 0;
    for bill in &made().bills {
        let bill: Value = serde_json::from_str(&fs::read_to_string(bill).unwrap()).unwrap();
        for component in bill["components"].as_array().unwrap() {
            let (name, version) = (
                component["name"].as_str().unwrap(),
                component["version"].as_str().unwrap(),
            );
            if name.starts_with("blocker") {
                continue;
            }
            let texts = texts_of(&format!("{name} {version}: "));
            let grants = |text: &&str| GRANTS.iter().any(|words| text.contains(words));
            assert!(texts.iter().any(grants), "{name} {version}: {texts:?}");
            crates += 1;
        }
    }
    assert!(crates > 200, "{crates}");
    assert!(texts_of("uPlot")[0].contains("Leon Sorokin"));
    assert!(read("rust-library-licences.html.gz").contains("The Rust Standard Library"));
}
