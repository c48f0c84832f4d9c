//! The disk fills up, the database is removed or damaged while the agent bans: everybody is kept out meanwhile, and in the end every ban is
//! on the disk.

use blocker_lab::smtp::Reach;
use blocker_tests::agent::Agent;
use blocker_tests::{DEADLINE, eventually, eventually_within};
use nix::sys::signal::Signal;

use super::*;

/// Hosts that are banned in each state of the disk.
const HOSTS: u32 = 300;
const DURABLE: &str = "blocker_ledger_durable";

/// A relay whose agent keeps its ledger on a small file system of its own.
struct Scene {
    relay: Relay,
    banned: u32,
}

impl Scene {
    fn new() -> Self {
        let relay = Relay::new("3600");
        without_brake(&relay);
        let state = relay.state();
        fs::create_dir(&state).unwrap();
        let disk = ["-t", "tmpfs", "-o", "size=4M", "none", state.to_str().unwrap()];
        assert_eq!(relay.output("mount", &disk), "");
        Self { relay, banned: 0 }
    }

    /// What a shell prints that runs this in the ledger's folder.
    fn sh(&self, script: &str) -> String {
        let script = format!("cd {} && {script}", self.relay.state().display());
        self.relay.output("sh", &["-c", &script])
    }

    /// Has many more hosts banned, and the spammer kept out meanwhile.
    fn ban_more(&mut self) {
        for _ in 0..HOSTS {
            self.relay.reject(host(self.banned), 2);
            self.banned += 1;
        }
        self.all_are_banned();
        assert_eq!(self.relay.reach(spammer(), 25), Reach::NoAnswer);
    }

    /// The spammer and the others.
    fn all_are_banned(&self) {
        let all = u64::from(self.banned) + 1;
        eventually("all are banned", || self.relay.metric(ACTIVE) == all);
    }

    fn start(&self) -> Agent {
        self.relay.start("nftables")
    }

    /// Kills the agent, has the kernel forget everything, and asks the next agent, which has the ledger alone.
    fn all_are_on_disk(&self, mut agent: Agent) {
        agent.signal(Signal::SIGKILL);
        agent.ends();
        let _ = self.relay.output("nft", &["flush", "ruleset"]);
        fs::write(self.relay.log(), "").unwrap();
        assert_eq!(self.relay.reach(spammer(), 25), Reach::Open);
        let _agent = self.start();
        self.all_are_banned();
        assert_eq!(self.relay.reach(spammer(), 25), Reach::NoAnswer);
        assert_eq!(self.relay.metric(DURABLE), 1);
    }
}

/// Bans before, while and after this is done to the ledger's folder, and says how many there were.
fn nothing_is_lost(harm: &str, is_told_as: &[&str], mend: &str) -> u32 {
    let mut scene = Scene::new();
    let mut agent = scene.start();
    scene.relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    scene.ban_more();
    scene.sh(harm);
    scene.ban_more();
    agent.says(is_told_as);
    scene.sh(mend);
    eventually_within(4 * DEADLINE, "the ledger is on disk again", || {
        scene.relay.metric(DURABLE) == 1
    });
    scene.ban_more();
    let told = agent.said().iter().filter(|line| line.contains("ERROR")).count();
    assert!(told <= 3, "told again and again: {:?}", agent.said());
    scene.all_are_on_disk(agent);
    scene.banned + 1
}

#[test]
fn no_ban_is_lost_on_a_disk_that_is_full_for_a_while() {
    let fill = "{ cat /dev/zero > filler || true; } 2>/dev/null";
    let bans = nothing_is_lost(fill, &["ERROR the ledger cannot be written", "full"], "rm filler");
    println!("a full disk: {bans} bans before, meanwhile and after it, all on disk in the end");
}

#[test]
fn no_ban_is_lost_when_the_database_is_removed() {
    let bans = nothing_is_lost("rm ledger.db*", &["ERROR the ledger cannot be written"], "ls ledger.db");
    println!("a database that was removed: {bans} bans before and after it, all on disk in the end");
}

#[test]
fn no_ban_is_lost_when_the_database_is_damaged() {
    let mut scene = Scene::new();
    let mut agent = scene.start();
    scene.relay.reject(spammer(), 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    scene.ban_more();
    // What is written ahead comes into the database itself when an agent stops.
    agent.stop();
    let mut agent = scene.start();
    // Behind the first page, and what is written ahead too. What the agent has in its cache it does not read again.
    scene.sh("for file in ledger.db ledger.db-wal; do \
         head -c 40000 /dev/urandom | dd of=$file bs=4096 seek=1 conv=notrunc status=none; done");
    scene.ban_more();
    agent.signal(Signal::SIGKILL);
    let (_, said) = agent.ends();
    let mut agent = scene.start();
    // Whoever finds the damage first tells: while it bans, from memory, or at its start, from the kernel.
    let told = [said, agent.said().join("\n")].concat();
    assert!(told.contains("the ledger's database is damaged; it is kept"), "{told}");
    scene.all_are_banned();
    scene.ban_more();
    scene.all_are_on_disk(agent);
    assert!(scene.sh("ls").contains("ledger.db.broken-"), "it is kept");
    println!(
        "a database that was damaged: {} bans before and after it, all on disk in the end",
        scene.banned + 1
    );
}
