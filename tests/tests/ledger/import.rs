//! Bans are taken over from a database that fail2ban itself has written.

use std::path::{Path, PathBuf};
use std::process::Command;

use blocker_filter_tests::package;
use serde_json::{Value, json};

use super::*;

/// Has fail2ban's own code make a database with bans: of a jail that is configured and of one that is not.
const MAKE: &str = r#"
import sys, time
sys.path.insert(0, sys.argv[1])
from fail2ban.server.database import Fail2BanDb
from fail2ban.server.ticket import FailTicket

class Actions:
    def getBanTime(self):
        return 600

class Jail:
    def __init__(self, name):
        self.name, self.database, self.actions = name, None, Actions()

db = Fail2BanDb(sys.argv[2])
jails = {name: Jail(name) for name in ("spam", "sshd")}
for jail in jails.values():
    db.addJail(jail)

def ban(jail, ip, ago, length):
    ticket = FailTicket(ip, int(time.time()) - ago)
    ticket.setBanTime(length)
    db.addBan(jails[jail], ticket)

ban("spam", "192.0.2.7", 60, 3600)
ban("spam", "192.0.2.11", 60, -1)
ban("spam", "2001:db8::7", 60, -1)
ban("spam", "192.0.2.9", 7200, 3600)
ban("spam", "203.0.113.0/24", 60, 3600)
ban("spam", "192.0.2.10", 60, 3600)
ban("spam", "somebody@example.com", 60, 3600)
ban("spam", "127.0.0.1", 60, 3600)
ban("sshd", "192.0.2.8", 60, 3600)
db.close()
"#;

fn database(relay: &Relay) -> PathBuf {
    let path = relay.lab.folder().join("fail2ban.sqlite3");
    let made = Command::new("python3")
        .args(["-c", MAKE])
        .arg(package::fail2ban().unwrap().modules())
        .arg(&path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    path
}

fn import(relay: &Relay, database: &Path, json: bool) -> std::process::Output {
    let mut command = relay.lab.relay().command(program());
    command.args(["import", "fail2ban", "--database"]).arg(database);
    command
        .arg("--config")
        .arg(relay.config())
        .arg("--state")
        .arg(relay.state());
    if json {
        command.arg("--json");
    }
    command.output().unwrap()
}

#[test]
fn the_bans_in_fail2bans_own_database_are_taken_over_once() {
    let relay = Relay::new("3600");
    let database = database(&relay);
    let output = import(&relay, &database, true);
    assert!(output.status.success(), "{output:?}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "imported": 4, "known": 0, "over": 1, "allowed": 2, "no_address": 1, "not_configured": {"sshd": 1},
    });
    assert_eq!(result, expected);
    let again = import(&relay, &database, false);
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(said.starts_with("0 bans are taken over"), "{said}");
    assert!(
        said.contains("4 were known") && said.contains("`sshd` is not configured"),
        "{said}"
    );

    let mut agent = relay.start("nftables");
    assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer);
    assert_eq!(relay.reach(SPAMMERS[1].into(), 25), Reach::Open);
    let refused = import(&relay, &database, false);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("blocker stop"), "{said}");
    let (_, said) = agent.stop();
    assert_eq!(on_disk(&relay).len(), 4, "{said}");
}

#[test]
fn what_is_no_database_of_fail2bans_is_refused_by_name() {
    let relay = Relay::new("3600");
    for (name, content) in [("none", None), ("text", Some("no database\n".repeat(99)))] {
        let path = relay.lab.folder().join(name);
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let output = import(&relay, &path, false);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(path.to_str().unwrap()),
            "{said}"
        );
    }
}
