mod faults;
mod reasons;

use std::fs;

use rusqlite::Connection;

use super::*;
use crate::ban::Origin;
use crate::ledger::{Allowlist, Entry};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + second).unwrap()
}

fn jails() -> Vec<String> {
    vec!["spam".to_owned(), "auth".to_owned()]
}

fn ban(subject: &str, jail: u16, since: i64, length: i64) -> Ban {
    Ban {
        subject: subject.parse().unwrap(),
        jail: JailId(jail),
        origin: Origin::Jail,
        since: at(since),
        until: Expiry::At(at(since + length)),
        failures: 3,
    }
}

/// A ledger with its store, as the judge has them.
struct Kept {
    ledger: Ledger,
    store: Store,
}

impl Kept {
    fn open(folder: &Path, now: Timestamp) -> Self {
        let (store, bans) = Store::open(folder, jails(), DAY, now).unwrap();
        let mut ledger = Ledger::new(Allowlist::default());
        for ban in bans {
            ledger.enter(ban);
        }
        Self { ledger, store }
    }

    fn enter(&mut self, ban: Ban, now: Timestamp) {
        match self.ledger.enter(ban.clone()) {
            Entry::New(_) => self.store.enter(&ban, Entered::New { bans: 1 }),
            Entry::Extended(_) => {
                let extended = self.ledger.get(ban.subject, ban.jail).unwrap();
                self.store.enter(extended, Entered::Extended);
            }
            other => panic!("{other:?}"),
        }
        self.store.commit(&self.ledger, now);
    }

    fn bans(&self) -> Vec<Ban> {
        let mut bans: Vec<Ban> = self.ledger.bans().cloned().collect();
        bans.sort_by_key(|ban| (ban.subject, ban.jail));
        bans
    }

    fn past(&mut self, subject: &str, jail: Option<u16>, now: Timestamp) -> Past {
        self.store.past(subject.parse().unwrap(), jail.map(JailId), now)
    }
}

/// What an agent finds that starts after this one was killed.
fn after_a_kill(folder: &Path, now: Timestamp) -> Vec<Ban> {
    // A killed process leaves the files as they are; a copy of them is what its successor sees.
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    Kept::open(copy.path(), now).bans()
}

fn nth(n: u32) -> String {
    std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string()
}

const HOST: &str = "192.0.2.7";
const OTHER: &str = "2001:db8:1:2::/64";

#[test]
fn a_committed_ban_outlives_the_process_with_all_that_is_known_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/on/the/way");
    let mut kept = Kept::open(&path, at(0));
    let mut for_ever = ban(OTHER, 1, 1, 0);
    for_ever.until = Expiry::Never;
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    kept.enter(for_ever.clone(), at(1));
    assert!(kept.store.is_durable());
    let expected = [ban(HOST, 0, 0, 600), for_ever.clone()];
    assert_eq!(after_a_kill(&path, at(599)), expected);
    assert_eq!(after_a_kill(&path, at(600)), [for_ever], "a ban that is over is no ban");
}

#[test]
fn an_extended_ban_is_kept_with_its_new_end_and_counts_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    kept.enter(ban(HOST, 0, 50, 600), at(50));
    let expected = Ban {
        failures: 6,
        ..ban(HOST, 0, 50, 600)
    };
    assert_eq!(after_a_kill(folder.path(), at(60)), [expected]);
    let last = Some(at(50));
    assert_eq!(kept.past(HOST, Some(0), at(60)), Past { bans: 1, last });
}

#[test]
fn earlier_bans_are_counted_by_jail_or_over_all_and_only_as_far_back_as_history_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    let day = DAY.as_secs();
    for (since, jail) in [(0, 0), (day / 2, 0), (day / 2 + 9, 1)] {
        kept.enter(ban(HOST, jail, since, 60), at(since));
        kept.ledger.expire(at(since + 60));
    }
    let count = |kept: &mut Kept, jail, now| kept.past(HOST, jail, at(now)).bans;
    let now = day - 1;
    assert_eq!(count(&mut kept, Some(0), now), 2);
    assert_eq!(count(&mut kept, Some(1), now), 1);
    assert_eq!(count(&mut kept, None, now), 3);
    assert_eq!(count(&mut kept, Some(0), day + 1), 1);
    assert_eq!(kept.past(OTHER, None, at(now)), Past::default());
}

#[test]
fn the_last_failure_that_has_led_to_a_ban_is_known_of_each_host_and_jail_also_after_a_lift() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    for ban in [
        ban("192.0.2.6", 0, 0, 900),
        ban("192.0.2.7", 0, 100, 60),
        ban("192.0.2.7", 0, 150, 60),
        ban("192.0.2.7", 1, 120, 60),
    ] {
        kept.enter(ban, at(150));
    }
    let subject = "192.0.2.7".parse().unwrap();
    let lifted = kept.ledger.lift(|ban| ban.subject == subject && ban.jail == JailId(1));
    let lifted = &lifted.bans[0];
    kept.store.lift(lifted);
    kept.store.commit(&kept.ledger, at(160));
    let mut answered = kept.store.answered(at(100));
    answered.sort();
    let host: Subject = "192.0.2.7".parse().unwrap();
    assert_eq!(answered, [(host, JailId(0), at(150)), (host, JailId(1), at(120))]);
}

#[test]
fn what_a_batch_has_entered_counts_before_it_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    kept.store.enter(&ban(HOST, 0, 0, 60), Entered::New { bans: 1 });
    assert_eq!(kept.past(HOST, Some(0), at(1)).bans, 1);
    assert_eq!(kept.past(HOST, Some(1), at(1)).bans, 0);
    kept.store.commit(&kept.ledger, at(1));
    assert_eq!(kept.past(HOST, Some(0), at(1)).bans, 1);
}

#[test]
fn history_and_bans_that_are_over_are_purged() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    for n in 0..5000 {
        let subject = nth(n);
        kept.store.enter(&ban(&subject, 0, 0, 60), Entered::New { bans: 1 });
    }
    kept.store.commit(&kept.ledger, at(0));
    let late = at(DAY.as_secs() + 1);
    for _ in 0..4 {
        kept.store.tick(&kept.ledger, late);
    }
    let connection = Connection::open(kept.store.path()).unwrap();
    for table in ["bans", "history"] {
        let rows: i64 = connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn history_has_a_bound_beyond_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    for n in 0..100 {
        kept.store.enter(&ban(HOST, 0, n, 60), Entered::New { bans: 1 });
    }
    kept.store.commit(&kept.ledger, at(100));
    let database = kept.store.database.as_ref().unwrap();
    assert!(!database.purge(at(0), 10).unwrap());
    assert_eq!(kept.past(HOST, Some(0), at(100)).bans, 10);
}

#[test]
fn positions_are_written_within_a_second_and_with_the_next_bans() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    kept.store.read("/var/log/mail.log", "1:2");
    kept.store.tick(&kept.ledger, at(1));
    kept.store.read("/var/log/mail.log", "1:3");
    kept.enter(ban(HOST, 0, 0, 60), at(1));
    drop(kept);
    let positions = Kept::open(folder.path(), at(2)).store.positions();
    assert_eq!(positions, [("/var/log/mail.log".to_owned(), "1:3".to_owned())]);
}

#[test]
fn jails_go_by_their_names_and_bans_of_one_that_is_gone_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    kept.enter(ban(HOST, 1, 0, 600), at(0));
    drop(kept);
    let other = vec!["auth".to_owned()];
    let (_, bans) = Store::open(folder.path(), other, DAY, at(1)).unwrap();
    assert_eq!(
        bans,
        [ban(HOST, 0, 0, 600)],
        "what was the second jail is the first now"
    );
    assert_eq!(Kept::open(folder.path(), at(2)).bans().len(), 2);
}

#[test]
fn a_lifted_ban_does_not_come_back_and_one_made_after_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    let subject: Subject = HOST.parse().unwrap();
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    let lifted = kept.ledger.lift(|ban| ban.subject == subject);
    let (lifted, change) = (&lifted.bans[0], &lifted.changes[0]);
    assert!(change.bans.is_empty() && kept.ledger.is_empty());
    kept.store.lift(lifted);
    kept.store.commit(&kept.ledger, at(1));
    assert_eq!(after_a_kill(folder.path(), at(2)), []);
    assert!(kept.store.is_lifted(subject, JailId(0)));
    assert!(!kept.store.is_lifted(subject, JailId(1)));
    kept.enter(ban(HOST, 0, 5, 600), at(5));
    assert!(!kept.store.is_lifted(subject, JailId(0)));
    assert_eq!(after_a_kill(folder.path(), at(6)).len(), 1);
}

#[test]
fn a_folder_has_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _kept = Kept::open(folder.path(), at(0));
    let error = Store::open(folder.path(), jails(), DAY, at(0))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("--state"), "{error}");
}

#[test]
fn when_the_clock_is_set_what_is_on_disk_moves_with_it() {
    for half_days in [1, -1] {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path(), at(0));
        let mut for_ever = ban(OTHER, 1, 1, 0);
        for_ever.until = Expiry::Never;
        kept.enter(ban(HOST, 0, 0, 600), at(0));
        kept.enter(for_ever, at(1));
        kept.store.lift(&ban("192.0.2.8", 0, 0, 600));
        kept.store.commit(&kept.ledger, at(2));
        let step = DAY / 2 * half_days;
        let now = at(3) + step;
        kept.ledger.clock_was_set(step);
        kept.store.clock_was_set(step, now);
        let expected = [ban(HOST, 0, 0, 600).moved(step), {
            let mut for_ever = ban(OTHER, 1, 1, 0).moved(step);
            for_ever.until = Expiry::Never;
            for_ever
        }];
        assert_eq!(kept.bans(), expected);
        assert_eq!(after_a_kill(folder.path(), now), expected);
        kept.store.tick(&kept.ledger, now + SignedDuration::from_secs(90));
        assert!(kept.store.is_lifted("192.0.2.8".parse().unwrap(), JailId(0)));
        let past = kept.past(HOST, Some(0), now);
        assert_eq!(past.bans, 1);
        assert!(past.last.unwrap() < now, "nothing has happened in the future");
    }
}

#[test]
fn what_was_written_before_the_clock_was_put_back_while_no_agent_ran_begins_now() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    drop(kept);
    let now = at(100) - DAY;
    for later in [0, 7] {
        // A second start holds nobody for longer.
        let mut kept = Kept::open(folder.path(), now + SignedDuration::from_secs(later));
        let [ban] = &kept.bans()[..] else { panic!("one ban") };
        assert_eq!(ban.until, Expiry::At(now + SignedDuration::from_secs(600)));
        assert_eq!(kept.past(HOST, Some(0), now + DAY).last, Some(now));
    }
}
