//! The chart: how it went in each set-up, over time.
//!
//! Its colours are of middling lightness and nothing is drawn behind them, so that it can be read on a light page and on a dark one.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Color as _, DrawingArea, IntoDrawingArea as _, IntoFont as _, LineSeries, PathElement, RGBColor,
    SVGBackend, SeriesLabelPosition,
};
use plotters::style::TextStyle;

use super::round::Course;

const SIZE: (u32, u32) = (820, 560);
const FONT: &str = "sans-serif";
const TEXT: RGBColor = RGBColor(0x76, 0x7e, 0x88);
/// Of the curves, in the order in which they come.
const CURVES: [RGBColor; 3] = [
    RGBColor(0xd1, 0x49, 0x5b),
    RGBColor(0xb2, 0x7d, 0x12),
    RGBColor(0x1f, 0x8a, 0x9e),
];
/// Room above the highest point, where the curves are named.
const HEADROOM: f64 = 1.45;

/// Two charts below each other: connections, and the processor.
pub(super) fn draw(courses: &[(&str, &Course)]) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let (upper, lower) = area.split_vertically(SIZE.1 / 2);
        let connections = courses
            .iter()
            .map(|(name, course)| (*name, course.connections.as_slice()));
        panel(
            &upper,
            "connections of spammers a second that Postfix saw",
            connections.collect(),
        )?;
        let processor = courses
            .iter()
            .map(|(name, course)| (*name, course.processor.as_slice()));
        let what = "processor's time of Postfix and its look-ups, % of one core";
        panel(&lower, what, processor.collect())?;
        area.present()
            .map_err(|error| anyhow!("the chart cannot be drawn: {error}"))?;
    }
    Ok(svg)
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, what: &str, curves: Vec<(&str, &[f64])>) -> Result<()> {
    let cannot = |error: &dyn std::fmt::Display| anyhow!("the chart cannot be drawn: {error}");
    let text = |size: i32| TextStyle::from((FONT, size).into_font()).color(&TEXT);
    let (seconds, most) = extent(&curves);
    let mut chart = ChartBuilder::on(area)
        .caption(what, text(17))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..seconds, 0.0..most)
        .map_err(|error| cannot(&error))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(TEXT.mix(0.35))
        .light_line_style(TEXT.mix(0.0))
        .axis_style(TEXT)
        .label_style(text(13))
        .x_desc("seconds from the first knock on")
        .x_label_formatter(&|second| format!("{second:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()
        .map_err(|error| cannot(&error))?;
    for ((name, values), colour) in curves.iter().zip(CURVES.iter().cycle()) {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points(values), style))
            .map_err(|error| cannot(&error))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(text(14))
        .draw()
        .map_err(|error| cannot(&error))
}

/// Each value in the middle of its second.
fn points(values: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    values.iter().enumerate().map(|(n, value)| (n as f64 + 0.5, *value))
}

/// How many seconds there are, and how high it goes; neither is nothing.
fn extent(curves: &[(&str, &[f64])]) -> (f64, f64) {
    let seconds = curves.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let most = curves
        .iter()
        .flat_map(|(_, values)| values.iter().copied())
        .fold(0.0, f64::max);
    (seconds.max(1) as f64, if most > 0.0 { most * HEADROOM } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_in_the_middle_of_its_second() {
        assert_eq!(points(&[7.0, 3.0]).collect::<Vec<_>>(), [(0.5, 7.0), (1.5, 3.0)]);
    }

    #[test]
    fn everything_has_room_also_where_nothing_was_seen() {
        assert_eq!(extent(&[("a", &[1.0, 100.0]), ("b", &[2.0])]), (2.0, 100.0 * HEADROOM));
        assert_eq!(extent(&[("a", &[0.0, 0.0])]), (2.0, 1.0));
        assert_eq!(extent(&[]), (1.0, 1.0));
    }

    #[test]
    fn the_chart_names_its_curves_and_draws_nothing_behind_them() {
        let course = |values: &[f64]| Course {
            connections: values.to_vec(),
            processor: values.to_vec(),
        };
        let (nothing, ours) = (course(&[100.0, 120.0, 110.0]), course(&[100.0, 20.0, 0.0]));
        let svg = draw(&[("nothing in front", &nothing), ("blocker", &ours)]).unwrap();
        assert!(svg.starts_with("<svg"), "{svg}");
        for text in ["nothing in front", "blocker", "connections of spammers a second"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.to_lowercase().contains("#ffffff"), "{svg}");
    }
}
