//! The screen as a picture for the documents: a relay under spam, and every cell of the terminal as SVG.
//!
//! `BLOCKER_SCREENSHOTS=$PWD/docs/images cargo test -p blocker-tests --test top picture` lets the spam go on for a while and saves `top.svg`;
//! the documents show that one.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use blocker_tests::knocking::knock;
use blocker_tests::two_jails::{Attack, two_jails};
use vt100::{Cell, Color, Screen};

/// How long spam goes on where the picture is wanted.
const SPELL: Duration = Duration::from_secs(40);
/// The size of a cell.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 17.0;
/// What is left free around the cells.
const MARGIN: f64 = 12.0;
/// A terminal's colours: the ground, the ink, and the first eight of the sixteen.
const GROUND: &str = "#10161d";
const INK: &str = "#d5dde5";
const COLOURS: [&str; 8] = [
    "#4b5866", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#d5dde5",
];
/// Blocks that fill a cell from below, by eighths.
const EIGHTHS: &str = "▁▂▃▄▅▆▇█";

#[test]
fn a_picture_of_the_screen_has_every_cell() {
    let relay = two_jails();
    let mut agent = relay.start("xdp");
    let mut attack = Attack::begin(&relay, &mut agent);
    let top = super::top(&relay, 100, 30);
    top.shows(&["7 in force"]);
    let folder = std::env::var_os("BLOCKER_SCREENSHOTS");
    if folder.is_some() {
        attack.go_on(SPELL);
    }
    knock(&relay, IpAddr::from([192, 0, 2, 23]), 40);
    top.shows(&["192.0.2.23", "spam"]);
    let picture = top.screen(svg);
    for words in ["192.0.2.23", "sasl", "quit", COLOURS[2], "<rect"] {
        assert!(picture.contains(words), "{words}\n{picture}");
    }
    assert!(picture.len() < 100_000, "{} bytes", picture.len());
    if let Some(folder) = folder {
        std::fs::write(PathBuf::from(folder).join("top.svg"), picture).unwrap();
    }
}

/// A screen as SVG. Each run of cells that look alike is one text, as wide as its cells whatever the font; blocks are drawn.
fn svg(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let width = f64::from(columns) * WIDTH + 2.0 * MARGIN;
    let height = f64::from(rows) * HEIGHT + 2.0 * MARGIN;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>blocker top</title>\n\
         <style>text {{ font: 14px ui-monospace, monospace; white-space: pre; }} .b {{ font-weight: bold; }}</style>\n\
         <rect width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\" fill=\"{GROUND}\"/>\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let cell = screen.cell(row, column).unwrap();
            let mut text = String::new();
            let begin = column;
            while let Some(next) = screen.cell(row, column).filter(|next| looks_alike(cell, next)) {
                text.push_str(if next.has_contents() { next.contents() } else { " " });
                column += 1;
            }
            let place = (f64::from(begin) * WIDTH + MARGIN, f64::from(row) * HEIGHT + MARGIN);
            draw(&mut picture, place, cell, &text);
        }
    }
    picture.push_str("</svg>\n");
    picture
}

fn looks_alike(one: &Cell, other: &Cell) -> bool {
    let look = |cell: &Cell| {
        let is_drawn = !cell.contents().is_empty() && EIGHTHS.contains(cell.contents());
        (cell.fgcolor(), cell.bgcolor(), cell.bold(), cell.inverse(), is_drawn)
    };
    look(one) == look(other)
}

/// Draws a run of cells.
fn draw(picture: &mut String, (x, y): (f64, f64), cell: &Cell, text: &str) {
    let (mut ink, mut ground) = (colour(cell.fgcolor(), INK), colour(cell.bgcolor(), GROUND));
    if cell.inverse() {
        (ink, ground) = (ground, ink);
    }
    let cells = text.chars().count() as f64;
    if ground != GROUND {
        rectangle(picture, (x, y), (cells * WIDTH, HEIGHT), ground);
    }
    let eighths: Vec<Option<usize>> = text
        .chars()
        .map(|char| EIGHTHS.chars().position(|block| block == char))
        .collect();
    if eighths.iter().all(Option::is_some) {
        for (at, eighths) in eighths.iter().flatten().enumerate() {
            let high = HEIGHT * (*eighths as f64 + 1.0) / 8.0;
            rectangle(picture, (x + at as f64 * WIDTH, y + HEIGHT - high), (WIDTH, high), ink);
        }
        return;
    }
    let before = text.chars().take_while(|char| *char == ' ').count() as f64;
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    let weight = if cell.bold() { " class=\"b\"" } else { "" };
    let (x, y) = (x + before * WIDTH, y + HEIGHT * 0.76);
    let length = text.chars().count() as f64 * WIDTH;
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        picture,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{ink}\"{weight}>{text}</text>"
    )
    .unwrap();
}

fn rectangle(picture: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
    writeln!(
        picture,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
    )
    .unwrap();
}

fn colour(colour: Color, usual: &'static str) -> &'static str {
    match colour {
        Color::Idx(index) => COLOURS[usize::from(index % 8)],
        Color::Default | Color::Rgb(..) => usual,
    }
}
