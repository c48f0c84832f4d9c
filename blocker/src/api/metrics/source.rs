//! What is counted for each log.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::counters;
use crate::api::model;

/// A source's counters: every line is in exactly one of the first four.
#[derive(Clone, Debug)]
pub struct LineMetrics {
    /// Lines in which at least one filter found a failure.
    pub matched: Counter,
    /// Lines in which a filter found a failure that an ignoreregex took back.
    pub ignored: Counter,
    /// Lines in which no filter found anything.
    pub missed: Counter,
    /// Lines without a date that can be read; no filter sees them.
    pub undated: Counter,
    /// Lines longer than what is read of a line; they are counted above too.
    pub cut: Counter,
    /// Seconds by which what is read is behind what was written; 0 when all is read.
    pub lag: Gauge<f64, AtomicU64>,
}

/// The same for all sources.
#[derive(Clone, Debug)]
pub(super) struct SourceFamilies {
    lines: Family<LineLabels, Counter>,
    cut: Family<SourceLabels, Counter>,
    lag: Family<SourceLabels, Gauge<f64, AtomicU64>>,
    /// Those that are read now, by name.
    read: Arc<Mutex<BTreeMap<String, LineMetrics>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LineLabels {
    source: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

impl SourceFamilies {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let lag: Family<SourceLabels, Gauge<f64, AtomicU64>> = Family::default();
        let help =
            "How old the last line read is while more waits, and how long a log cannot be read; 0 when all is read";
        registry.register("log_lag_seconds", help, lag.clone());
        Self {
            lines: counters(registry, "log_lines", "Log lines read, by what came of them"),
            cut: counters(
                registry,
                "log_lines_cut",
                "Log lines read only up to the longest length",
            ),
            lag,
            read: Arc::default(),
        }
    }

    /// Forgets which sources are read; what was counted of them stays.
    pub(super) fn none_is_read(&self) {
        let before = std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner));
        for name in before.into_keys() {
            self.lag.remove(&SourceLabels { source: name });
        }
    }

    /// The sources that are read.
    pub(super) fn all(&self) -> Vec<model::Source> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let source = |(name, lines): (&String, &LineMetrics)| model::Source {
            name: name.clone(),
            lines: lines.matched.get() + lines.ignored.get() + lines.missed.get() + lines.undated.get(),
            lag_seconds: lines.lag.get(),
        };
        read.iter().map(source).collect()
    }

    /// The counters of the source of this name.
    pub(super) fn source(&self, name: &str) -> LineMetrics {
        let counter = |result| {
            let labels = LineLabels {
                source: name.to_owned(),
                result,
            };
            self.lines.get_or_create(&labels).clone()
        };
        let labels = SourceLabels {
            source: name.to_owned(),
        };
        let metrics = LineMetrics {
            matched: counter("matched"),
            ignored: counter("ignored"),
            missed: counter("missed"),
            undated: counter("undated"),
            cut: self.cut.get_or_create(&labels).clone(),
            lag: self.lag.get_or_create(&labels).clone(),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(name.to_owned(), metrics.clone());
        metrics
    }
}
