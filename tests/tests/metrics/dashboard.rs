//! The Grafana dashboard's queries, run by a real Prometheus.

use std::collections::BTreeSet;
use std::fs;

use blocker_tests::eventually;
use blocker_tests::relay::Relay;
use serde_json::Value;

use super::prometheus::Prometheus;
use super::{knock, spammer, workspace};

fn dashboard() -> Value {
    let text = fs::read_to_string(workspace("packaging/grafana/blocker.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every query of the dashboard, as Grafana would send it for all instances.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries
        .map(|query| query.replace("$instance", ".*").replace("$__rate_interval", "1m"))
        .collect()
}

#[test]
fn every_query_of_the_dashboard_has_data() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("xdp");
    let prometheus = Prometheus::start(&relay);
    relay.reject(spammer(), 2);
    agent.says(&["INFO banned"]);
    knock(&relay, spammer(), 10);
    let queries = queries(&dashboard());
    assert!(queries.len() > 15);
    for query in queries {
        assert!(!query.contains('$'), "a variable that nobody fills in: {query}");
        eventually(&query, || {
            // A rate needs two scrapes, and is not a number where there was nothing.
            let series = prometheus.query(&query).unwrap_or_default();
            series.iter().any(|series| series["value"][1] != "NaN")
        });
    }
}

#[test]
fn panels_have_titles_and_take_data_source_and_instance_from_the_variables() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables: Vec<&str> = variables
        .iter()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    assert_eq!(variables, ["datasource", "instance"]);
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(
            !title.is_empty() && ids.insert(panel["id"].as_u64().unwrap()),
            "{title}"
        );
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let query = target["expr"].as_str().unwrap();
            let metrics = query.matches("blocker_").count();
            assert_eq!(
                query.matches("instance=~\"$instance\"").count(),
                metrics,
                "{title}: {query}"
            );
        }
    }
}
