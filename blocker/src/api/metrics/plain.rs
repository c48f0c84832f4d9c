//! Prometheus' own text format, 0.0.4, for whoever does not ask for OpenMetrics: `curl`, `promtool check metrics`, older collectors.
//!
//! It differs from OpenMetrics in its comments alone: a counter is called by the name of its samples, an info is a gauge, and
//! there are no units and no end mark.

use std::borrow::Cow;

/// The text's media type.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Rewrites OpenMetrics text.
#[must_use]
pub fn from_open_metrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = if let Some(help) = line.strip_prefix("# HELP ") {
            // A metric's type comes right behind its help, and decides its name.
            let (name, help) = help.split_once(' ').unwrap_or((help, ""));
            let kind = lines.peek().and_then(|line| line.strip_prefix("# TYPE "));
            let kind = kind.and_then(|line| line.strip_prefix(name)).unwrap_or_default().trim();
            let (name, _) = named(name, kind);
            Cow::Owned(format!("# HELP {name} {help}"))
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            let (name, kind) = named(name, kind);
            Cow::Owned(format!("# TYPE {name} {kind}"))
        } else if line.starts_with("# ") {
            continue;
        } else {
            Cow::Borrowed(line)
        };
        plain.push_str(&line);
        plain.push('\n');
    }
    plain
}

/// A metric's name and type in this format.
fn named<'a>(name: &str, kind: &'a str) -> (String, &'a str) {
    match kind {
        "counter" => (format!("{name}_total"), kind),
        "info" => (format!("{name}_info"), "gauge"),
        "unknown" => (name.to_owned(), "untyped"),
        _ => (name.to_owned(), kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_are_called_by_their_samples_and_the_rest_stays() {
        let open = "# HELP b_build The running b.\n# TYPE b_build info\nb_build_info{version=\"1\"} 1\n\
                    # HELP b_lines Lines.\n# TYPE b_lines counter\nb_lines_total{source=\"# HELP\"} 3\n\
                    # HELP b_lag_seconds Lag.\n# TYPE b_lag_seconds gauge\n# UNIT b_lag_seconds seconds\nb_lag_seconds 0.5\n# EOF\n";
        let plain = "# HELP b_build_info The running b.\n# TYPE b_build_info gauge\nb_build_info{version=\"1\"} 1\n\
                     # HELP b_lines_total Lines.\n# TYPE b_lines_total counter\nb_lines_total{source=\"# HELP\"} 3\n\
                     # HELP b_lag_seconds Lag.\n# TYPE b_lag_seconds gauge\nb_lag_seconds 0.5\n";
        assert_eq!(from_open_metrics(open), plain);
    }
}
