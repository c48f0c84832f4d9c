//! The answers as JSON, for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::figures::seconds;
use super::super::json::{safe, write};
use crate::filter::identity::{self, Identity};
use crate::filter::matcher::Hit;
use crate::filter::pattern::facts::{Fact, Facts};
use crate::filter::trial::Answer;
use crate::filter::{Filter, Regex, UseDns};
use crate::resolve::Resolver;

/// Writes one object a line of the log.
pub(super) struct Answers {
    use_dns: UseDns,
    resolver: Resolver,
}

#[derive(Serialize)]
struct Line<'a> {
    n: u64,
    time: Option<f64>,
    hits: Vec<HitObject<'a>>,
}

#[derive(Serialize)]
struct HitObject<'a> {
    re: usize,
    id: Option<String>,
    nofail: bool,
    pending: bool,
    fail: BTreeMap<&'a str, Value>,
    nmatches: usize,
}

impl Answers {
    /// For answers of this filter; with `raw_host` names are shown as they stand.
    pub(super) fn new(filter: &Arc<Filter>, raw_host: bool) -> Self {
        Self {
            use_dns: if raw_host { UseDns::Raw } else { filter.use_dns() },
            resolver: Resolver::default(),
        }
    }

    pub(super) fn write(&mut self, answer: &Answer, out: &mut impl Write) -> io::Result<()> {
        let mut hits = Vec::new();
        for hit in &answer.hits {
            hits.extend(self.ids(hit).into_iter().map(|id| HitObject {
                re: hit.failregex,
                pending: id.is_none(),
                id,
                nofail: hit.nofail,
                fail: facts(&hit.facts, hit),
                nmatches: hit.lines,
            }));
        }
        let line = Line {
            n: answer.n,
            time: answer.time.map(seconds),
            hits,
        };
        write(&line, out)
    }

    /// Whose failure it is: one host, or one for each address of a name; nobody yet where it is pending.
    fn ids(&mut self, hit: &Hit) -> Vec<Option<String>> {
        match (&hit.identity, self.use_dns) {
            (Some(Identity::Name(_)), UseDns::No) => Vec::new(),
            (Some(Identity::Name(name)), UseDns::Yes | UseDns::Warn) => {
                let addresses = self.resolver.addresses(name);
                addresses.iter().map(|address| Some(address.to_string())).collect()
            }
            // A name that is not looked up stands behind what the filter itself takes for the identity.
            (Some(Identity::Name(name)), UseDns::Raw) => {
                vec![identity::own(&hit.facts).or_else(|| Some(name.clone()))]
            }
            (identity, _) => vec![identity.as_ref().map(Identity::to_string)],
        }
    }
}

fn facts<'a>(facts: &'a Facts, hit: &Hit) -> BTreeMap<&'a str, Value> {
    let mut all: BTreeMap<&str, Value> = facts
        .iter()
        .map(|(name, fact)| {
            let value = match fact {
                Fact::Text(text) => json!(text),
                Fact::Tuple(texts) => json!(texts),
                Fact::Set(texts) => json!(texts),
            };
            (name, value)
        })
        .collect();
    if let Some(address) = hit.address {
        all.insert("ip", json!(address.to_string()));
    }
    all
}

/// Every expression of a filter, as it was written and as it is run.
pub(super) fn regexes(filter: &Filter) -> String {
    let all = |regexes: &[Regex]| -> Vec<Value> {
        regexes
            .iter()
            .enumerate()
            .map(|(n, found)| regex(Some(n), found))
            .collect()
    };
    let dates: Vec<&str> = (0..filter.dates().len()).map(|n| filter.dates().name(n)).collect();
    let object = json!({
        "prefregex": filter.prefregex().map(|found| regex(None, found)),
        "failregex": all(filter.failregex()),
        "ignoreregex": all(filter.ignoreregex()),
        "datepattern": dates,
    });
    safe(&format!("{object:#}")).into_owned()
}

fn regex(number: Option<usize>, regex: &Regex) -> Value {
    json!({
        "re": number,
        "engine": regex.pattern.engine(),
        "expression": regex.pattern.expression(),
        "written": *regex.text,
        "place": regex.place.to_string(),
    })
}
