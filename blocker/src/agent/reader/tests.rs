use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use super::*;
use crate::api::metrics::Metrics;
use crate::filter::definition::Definition;
use crate::filter::matcher::Search;
use crate::filter::value::Value;
use crate::problem::Place;

const NOW: i64 = 1_800_000_000;

/// One jail that reads with this filter, and what a line leads to.
struct Reading {
    filters: LogFilters,
    jails: Vec<Watched>,
    out: Out,
    names: Receiver<Unresolved>,
    metrics: JailMetrics,
}

impl Reading {
    fn with(failregex: &str, date_pattern: Option<&str>) -> Self {
        let mut definition = Definition::of_regex(failregex);
        if let Some(pattern) = date_pattern {
            let place = Place::file(Path::new("test"));
            definition.replace("datepattern", Value::given(&place, pattern));
        }
        let filter = Arc::new(Filter::compile(&definition).unwrap());
        let jail = JailId(0);
        let metrics = Metrics::new(&["spam".to_owned()], &[], Arc::new(Mutex::new(None)));
        let metrics = metrics.jail(jail).unwrap().clone();
        let (failures, _) = sync_channel(1);
        let (name_queue, names) = sync_channel(1);
        let (filters, jails) = apart(vec![Watcher {
            jail,
            name: "spam".to_owned(),
            matcher: Matcher::new(filter, Search::First),
            zone: TimeZone::UTC,
            metrics: (*metrics).clone(),
            logs: vec![0],
        }]);
        Self {
            filters,
            jails,
            out: Out {
                failures,
                names: name_queue,
                seen: Arc::default(),
            },
            names,
            metrics: (*metrics).clone(),
        }
    }

    fn line(&mut self, line: &str, live: bool) -> Vec<Failure> {
        let now = Timestamp::from_second(NOW).unwrap();
        let mut found = Vec::new();
        let line = Line {
            bytes: line.as_bytes(),
            cut: false,
            written: if live { Written::Now } else { Written::Before },
            again: false,
            logs: &[0],
        };
        let text = crate::source::text(line.bytes);
        let mut kept = Kept::new(&text);
        let each = |finding| {
            hand_on(
                finding,
                (false, None),
                &mut kept,
                &mut self.jails,
                &self.out,
                &mut found,
            )
        };
        find(&line, &text, now, &mut self.filters, each);
        found
    }
}

#[test]
fn a_line_that_carries_no_date_is_of_now_only_once_the_backlog_is_read() {
    let mut reading = Reading::with("^bad <ADDR>$", Some("{NONE}"));
    assert!(reading.line("bad 192.0.2.7", false).is_empty());
    let found = reading.line("bad 192.0.2.7", true);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].time, Timestamp::from_second(NOW).unwrap());
}

#[test]
fn a_failure_is_counted_by_the_filters_own_identity_beside_the_address() {
    let mut reading = Reading::with("^bad <F-ID>\\w+</F-ID> from <ADDR>$", None);
    let found = reading.line("bad alice from 192.0.2.7", true);
    assert_eq!(found[0].address, "192.0.2.7".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(found[0].identity.as_deref(), Some("alice"));
    let mut reading = Reading::with("^bad <ADDR>$", None);
    assert_eq!(reading.line("bad 192.0.2.7", true)[0].identity, None);
}

#[test]
fn what_cannot_be_banned_is_counted() {
    let mut reading = Reading::with("^bad <F-ID>\\w+</F-ID>$", None);
    assert!(reading.line("bad alice", true).is_empty());
    assert_eq!(reading.metrics.unbannable.get(), 1);
}

#[test]
fn names_that_come_faster_than_they_can_be_looked_up_are_counted() {
    let mut reading = Reading::with("^bad <HOST>$", None);
    for _ in 0..3 {
        assert!(reading.line("bad mail.example.org", true).is_empty());
    }
    assert_eq!(reading.names.try_iter().count(), 1);
    assert_eq!(reading.metrics.unbannable.get(), 2);
}

#[test]
fn each_failure_carries_its_line_and_the_failregex_that_found_it() {
    let mut reading = Reading::with("^no <ADDR>$\n^bad <HOST>\\b", None);
    let long = format!("bad 192.0.2.7 {}", "x".repeat(10_000));
    for (line, kept) in [("bad 192.0.2.7", "bad 192.0.2.7"), (long.as_str(), &long[..509])] {
        let found = reading.line(line, true);
        let evidence = found[0].evidence.as_ref().unwrap();
        assert_eq!(evidence.line.trim_end_matches('…'), kept);
        assert_eq!((evidence.number, evidence.time), (1, found[0].time));
        assert!(evidence.failregex.contains("bad"), "{evidence:?}");
    }
    assert!(reading.line("bad mail.example.org", true).is_empty());
    let named = reading.names.try_recv().unwrap();
    assert_eq!(&*named.evidence.unwrap().line, "bad mail.example.org");
}

/// A reader of one log on a thread of its own.
struct Running {
    batches: Receiver<Batch>,
    _names: Receiver<Unresolved>,
    stop: Stop,
    thread: std::thread::JoinHandle<()>,
    /// Up to where it has read and told so.
    positions: Positions,
}

impl Running {
    fn start(log: &Path, positions: Positions) -> Self {
        let definition = Definition::of_regex("^ bad <ADDR>$");
        let metrics = Metrics::new(&["spam".to_owned()], &[], Arc::new(Mutex::new(None)));
        let (failures, batches) = sync_channel(8);
        let (names, unresolved) = sync_channel(1);
        let group = Group {
            kind: Kind::Files(vec![log.to_owned()]),
            watchers: vec![Watcher {
                jail: JailId(0),
                name: "spam".to_owned(),
                matcher: Matcher::new(Arc::new(Filter::compile(&definition).unwrap()), Search::First),
                zone: TimeZone::UTC,
                metrics: (*metrics.jail(JailId(0)).unwrap()).clone(),
                logs: vec![0],
            }],
            find_time: SignedDuration::from_mins(10),
        };
        let stop = Stop::new().unwrap();
        let out = Out {
            failures,
            names,
            seen: Arc::default(),
        };
        let reader = Reader::new(group, &positions, out, &metrics, stop.clone()).unwrap();
        Self {
            batches,
            _names: unresolved,
            stop,
            thread: std::thread::spawn(|| reader.run()),
            positions,
        }
    }

    /// So many failures that no former agent has told of, by the last part of their addresses.
    fn failures(&mut self, count: usize) -> Vec<u8> {
        let mut found = Vec::new();
        while found.len() < count {
            let batch = self.batches.recv_timeout(Duration::from_secs(20)).expect("a batch");
            assert!(
                batch.failures.is_empty() || !batch.read.is_empty(),
                "failures and position go together"
            );
            found.extend(self.take(batch));
        }
        found
    }

    fn take(&mut self, batch: Batch) -> Vec<u8> {
        for (source, position) in batch.read {
            self.positions.set(source, position);
        }
        let last = |failure: &Failure| match failure.address {
            std::net::IpAddr::V4(address) => address.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        batch
            .failures
            .iter()
            .filter(|failure| !failure.again)
            .map(last)
            .collect()
    }

    /// Ends it, and gives what it told at the end.
    fn stop(mut self) -> (Vec<u8>, Positions) {
        self.stop.stop();
        self.thread.join().unwrap();
        let rest: Vec<Batch> = self.batches.try_iter().collect();
        self.thread = std::thread::spawn(|| {});
        let found = rest.into_iter().flat_map(|batch| self.take(batch)).collect();
        (found, self.positions)
    }
}

#[test]
fn another_agent_finds_what_was_logged_meanwhile_and_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mail.log");
    let write = |hosts: &[u8]| {
        let now = Timestamp::now();
        let lines: String = hosts
            .iter()
            .map(|host| format!("{now:.6} bad 192.0.2.{host}\n"))
            .collect();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        std::io::Write::write_all(&mut file, lines.as_bytes()).unwrap();
    };
    write(&[1, 2]);
    let mut reader = Running::start(&log, Positions::default());
    assert_eq!(reader.failures(2), [1, 2]);
    write(&[3]);
    assert_eq!(reader.failures(1), [3]);
    let (rest, positions) = reader.stop();
    assert!(rest.is_empty());

    write(&[4]);
    std::fs::rename(&log, folder.path().join("mail.log.1")).unwrap();
    write(&[5]);
    let mut reader = Running::start(&log, positions);
    assert_eq!(reader.failures(2), [4, 5]);
    write(&[6]);
    assert_eq!(reader.failures(1), [6]);
    let (rest, _) = reader.stop();
    assert!(rest.is_empty());
}

#[test]
fn lag_is_the_age_of_the_last_line_while_more_waits_and_how_long_a_log_is_in_trouble() {
    let now = Timestamp::from_second(NOW).unwrap();
    let since = Instant::now();
    let mut state = LogState {
        name: "mail.log".to_owned(),
        more: false,
        trouble: None,
    };
    let last = Some(Timestamp::from_second(NOW - 30).unwrap());
    assert_eq!(lag(&state, last, since, now), 0.0);
    state.more = true;
    assert_eq!(lag(&state, last, since, now), 30.0);
    assert_eq!(lag(&state, None, since, now), 0.0);
    state.trouble = since.checked_sub(Duration::from_secs(60));
    assert_eq!(lag(&state, last, since, now), 60.0);
}
