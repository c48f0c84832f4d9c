use std::fs;
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::ban::JailId;
use crate::filter::Filter;
use crate::filter::definition::Definition;
use crate::filter::log::JailFilter;
use crate::filter::matcher::{Matcher, Search};

/// 2025-06-01
const BEGIN: i64 = 1_748_736_000;

fn filters() -> LogFilters {
    let filter = Filter::compile(&Definition::of_regex("^ bad <ADDR>$")).unwrap();
    LogFilters::new([JailFilter {
        jail: JailId(0),
        matcher: Matcher::new(Arc::new(filter), Search::First),
        zone: TimeZone::UTC,
        logs: vec![0],
    }])
}

/// A log whose lines are so many seconds apart, each with its second, the log's number and its own; one in three carries no date.
fn log(n: usize, first: u32, gaps: &[u8]) -> String {
    let mut second = first;
    let mut text = String::new();
    for (line, gap) in gaps.iter().enumerate() {
        if line % 3 == 2 {
            text.push_str(&format!("{second} {n} {line} undated\n"));
            continue;
        }
        second += u32::from(*gap);
        let time = Timestamp::from_second(BEGIN + i64::from(second)).unwrap();
        text.push_str(&format!("{time} {second} {n} {line}\n"));
    }
    text
}

/// Reads the logs, and gives of each line its second, its log and its number.
fn read(texts: &[String]) -> Vec<(u32, usize, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let stored = texts.iter().enumerate().map(|(n, text)| {
        let path = folder.path().join(n.to_string());
        fs::write(&path, text).unwrap();
        StoredLog::new(&path).unwrap()
    });
    let stored: Vec<StoredLog> = stored.collect();
    let open_with = OpenWith {
        filters: &filters,
        wrap: &|input| input,
    };
    let mut logs = Logs::new(&stored, open_with).unwrap();
    let mut lines = Vec::new();
    let read = logs.read::<Unreadable>(|line, log| {
        log.time = log.filters.time(line, log.written).or(log.time);
        let mut words = line.split(' ').filter_map(|word| word.parse().ok());
        let mut word = || words.next().unwrap_or_default();
        lines.push((word() as u32, word(), word()));
        Ok(())
    });
    read.unwrap();
    assert!(logs.open.is_empty() && logs.waiting.is_empty());
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_of_all_logs_come_by_their_time_and_none_is_lost(
        logs in prop::collection::vec((0u32..300, prop::collection::vec(0u8..60, 0..12)), 1..6),
    ) {
        let texts: Vec<String> = logs.iter().enumerate().map(|(n, (first, gaps))| log(n, *first, gaps)).collect();
        let lines = read(&texts);
        prop_assert!(lines.is_sorted_by_key(|(second, ..)| *second), "{:?}", lines);
        for (n, (_, gaps)) in logs.iter().enumerate() {
            let own: Vec<usize> = lines.iter().filter(|(_, log, _)| *log == n).map(|(.., line)| *line).collect();
            prop_assert_eq!(own, (0..gaps.len()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn rotated_logs_are_open_one_at_a_time_and_share_their_filters() {
    let folder = tempfile::tempdir().unwrap();
    let stored = [200, 100, 0].map(|first| {
        let path = folder.path().join(first.to_string());
        fs::write(&path, log(0, first, &[1, 1])).unwrap();
        StoredLog::new(&path).unwrap()
    });
    let wrapped = std::cell::Cell::new(0);
    let open_with = OpenWith {
        filters: &filters,
        wrap: &|input| {
            wrapped.set(wrapped.get() + 1);
            input
        },
    };
    let mut logs = Logs::new(&stored, open_with).unwrap();
    assert_eq!(wrapped.get(), 0, "where they begin is not part of the reading");
    logs.read::<Unreadable>(|_, _| Ok(())).unwrap();
    assert_eq!((wrapped.get(), logs.idle.len()), (3, 1));
}
