//! The lines that led to bans: how long they are kept, and where.

use super::*;
use crate::ban::Evidence;
use crate::ledger::store::schema;

fn line(second: i64, text: &str) -> Evidence {
    Evidence {
        time: at(second),
        line: text.into(),
        number: 3,
        failregex: "^bad <HOST>$".into(),
    }
}

impl Kept {
    fn ban_for(&mut self, ban: Ban, lines: &[Evidence], now: Timestamp) {
        self.ledger.enter(ban.clone());
        self.store.enter(&ban, Entered::New { bans: 1 });
        self.store.because(&ban, lines);
        self.store.commit(&self.ledger, now);
    }

    fn lines(&self, subject: &str, now: Timestamp) -> Vec<Vec<Evidence>> {
        let happened = self.store.happened(subject.parse().unwrap(), 10, now).into_iter();
        happened.map(|happened| happened.evidence).collect()
    }
}

/// How many bans' lines a folder's database has.
fn count(folder: &Path) -> i64 {
    let connection = Connection::open(folder.join("ledger.db")).unwrap();
    let count = "SELECT count(*) FROM history WHERE reason IS NOT NULL";
    connection.query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn what_led_to_a_ban_outlives_the_process_and_each_ban_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    let (first, second) = ([line(1, "a"), line(5, "b \u{1b}[2J")], [line(90, "c")]);
    kept.ban_for(ban(HOST, 0, 5, 60), &first, at(5));
    kept.ledger.expire(at(70));
    kept.ban_for(ban(HOST, 0, 90, 60), &second, at(90));
    kept.ban_for(ban(OTHER, 0, 90, 60), &[], at(90));
    drop(kept);
    let kept = Kept::open(folder.path(), at(100));
    assert_eq!(kept.lines(HOST, at(100)), [&second[..], &first[..]], "the latest first");
    assert_eq!(kept.lines(OTHER, at(100)), [Vec::new()]);
    let happened = kept.store.happened(HOST.parse().unwrap(), 10, at(100));
    assert_eq!(
        (happened[0].jail.as_str(), happened[0].until),
        ("spam", Expiry::At(at(150)))
    );
    assert_eq!(
        kept.store.happened(HOST.parse().unwrap(), 1, at(100)).len(),
        1,
        "no more than was asked for"
    );
}

#[test]
fn lines_go_with_their_history_and_those_of_the_oldest_bans_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    for n in 0..100 {
        kept.ban_for(ban(&nth(n), 0, i64::from(n), 10), &[line(0, "x")], at(0));
    }
    assert_eq!(count(folder.path()), 100);
    let database = kept.store.database.as_ref().unwrap();
    let mut from = 0;
    loop {
        let to = database.clear_reasons(from, 40).unwrap();
        if to == from {
            break;
        }
        from = to;
    }
    assert_eq!((count(folder.path()), from), (40, 60));
    assert_eq!(
        kept.lines(&nth(59), at(0)),
        [Vec::new()],
        "that it was banned is still known"
    );
    assert_eq!(kept.lines(&nth(60), at(0)), [[line(0, "x")]]);
    // As after the file was made anew.
    assert_eq!(
        kept.store
            .database
            .as_ref()
            .unwrap()
            .clear_reasons(1_000_000, 40)
            .unwrap(),
        60
    );

    let day = DAY.as_secs();
    kept.store.tick(&kept.ledger, at(day + 80));
    assert_eq!(count(folder.path()), 20, "of the history of a day");
}

#[test]
fn a_database_of_the_first_version_keeps_all_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join("ledger.db")).unwrap();
    connection.execute_batch(schema::FIRST).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let since = at(0).as_microsecond();
    for (table, rest) in [
        (
            "bans (subject, jail, since, until, origin, failures)",
            ", ?2 + 600000000, 'jail', 3",
        ),
        ("history (subject, jail, since, length, bans)", ", 600000000, 1"),
    ] {
        let insert = format!("INSERT INTO {table} VALUES (?1, 'spam', ?2{rest})");
        connection.execute(&insert, (HOST, since)).unwrap();
    }
    let position = "INSERT INTO positions (source, position) VALUES ('log', 'here')";
    connection.execute(position, []).unwrap();
    drop(connection);
    let mut kept = Kept::open(folder.path(), at(60));
    assert!(kept.store.is_durable());
    assert_eq!(kept.bans(), [ban(HOST, 0, 0, 600)]);
    assert_eq!(kept.past(HOST, Some(0), at(60)).bans, 1);
    assert_eq!(kept.lines(HOST, at(60)), [Vec::new()]);
    assert_eq!(kept.store.positions(), [("log".to_owned(), "here".to_owned())]);
    kept.ban_for(ban(OTHER, 1, 60, 60), &[line(60, "x")], at(60));
    assert_eq!(kept.lines(OTHER, at(60)), [[line(60, "x")]]);
}

#[test]
fn lines_that_wait_for_the_database_are_bounded_and_the_bans_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    let long = "x".repeat(512);
    let lines: Vec<Evidence> = (0..10).map(|n| line(n, &long)).collect();
    for n in 0..5000 {
        let ban = ban(&nth(n), 0, 9, 600);
        kept.ledger.enter(ban.clone());
        kept.store.enter(&ban, Entered::New { bans: 1 });
        kept.store.because(&ban, &lines);
    }
    let waiting: usize = kept
        .store
        .pending
        .history
        .values()
        .flatten()
        .filter_map(|event| event.reason.as_deref())
        .map(str::len)
        .sum();
    assert!((7 << 20..=8 << 20).contains(&waiting), "{waiting} bytes");
    kept.store.commit(&kept.ledger, at(9));
    assert_eq!(after_a_kill(folder.path(), at(10)).len(), 5000);
    assert_eq!(kept.lines(&nth(0), at(10)), [&lines[..]]);
    assert_eq!(kept.lines(&nth(4999), at(10)), [Vec::new()]);
    // With the next commit there is room again.
    kept.ban_for(ban(HOST, 0, 9, 60), &lines, at(9));
    assert_eq!(kept.lines(HOST, at(10)), [&lines[..]]);
}
