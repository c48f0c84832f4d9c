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
            metrics: metrics.clone(),
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
            metrics,
        }
    }

    fn line(&mut self, line: &str, live: bool) -> Vec<Failure> {
        let now = Timestamp::from_second(NOW).unwrap();
        let mut found = Vec::new();
        let each = |finding| hand_on(finding, &mut self.jails, &self.out, &mut found);
        self.filters.find(line, now, live.then_some(now), each);
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
