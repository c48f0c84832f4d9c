//! Expressions for the numbers of a date.

use std::ops::RangeInclusive;

/// How a number is written that has fewer digits than the longest of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// As it is: `5`.
    None,
    /// With zeros to the full width: `05`.
    Full,
    /// With zeros, or without: `05`, `5`.
    Zero,
    /// With zeros or blanks, or without: `05`, ` 5`, `5`.
    ZeroOrBlank,
}

/// An expression for the numbers of a range, in alternatives of which the longer ones come first: of `12`, all is read.
pub(super) fn range(numbers: RangeInclusive<u16>, padding: Padding) -> String {
    let (first, last) = numbers.into_inner();
    let width = digits(last);
    let mut alternatives = Vec::new();
    let pad = match padding {
        Padding::Full => {
            of_width(width, first, last, "", &mut alternatives);
            return alternatives.join("|");
        }
        Padding::None => "",
        Padding::Zero => "0",
        Padding::ZeroOrBlank => "[0 ]",
    };
    for digits in (1..=width).rev() {
        // The numbers of so many digits; zero has one.
        let from = if digits == 1 { 0 } else { 10_u16.pow(digits - 1) }.max(first);
        let to = if digits == width { last } else { 10_u16.pow(digits) - 1 };
        if from > to {
            break;
        }
        let pad = match (pad, width - digits) {
            ("", _) | (_, 0) => String::new(),
            (pad, 1) => format!("{pad}?"),
            (pad, missing) => format!("{pad}{{0,{missing}}}"),
        };
        of_width(digits, from, to, &pad, &mut alternatives);
    }
    alternatives.join("|")
}

/// Adds expressions for the numbers of a range where each is written with `width` digits, leading zeros included, behind `before`.
fn of_width(width: u32, first: u16, last: u16, before: &str, alternatives: &mut Vec<String>) {
    let Some(rest) = width.checked_sub(1) else {
        alternatives.push(before.to_owned());
        return;
    };
    // How many numbers have the same first digit.
    let share = 10_u16.pow(rest);
    let (low, high) = (first / share, last / share);
    let (whole_low, whole_high) = (first.is_multiple_of(share), last % share == share - 1);
    let mut part = |first, last| of_width(width, first, last, before, alternatives);
    if whole_low && whole_high {
        let following = "[0-9]".repeat(rest as usize);
        alternatives.push(format!("{before}{}{following}", digit(low, high)));
    } else if low == high {
        of_width(
            rest,
            first % share,
            last % share,
            &format!("{before}{low}"),
            alternatives,
        );
    } else if whole_low {
        part(first, high * share - 1);
        part(high * share, last);
    } else {
        part(first, (low + 1) * share - 1);
        part((low + 1) * share, last);
    }
}

fn digit(low: u16, high: u16) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("[{low}-{high}]")
    }
}

/// How many digits a number has.
fn digits(number: u16) -> u32 {
    number.checked_ilog10().unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex::Regex;

    use super::*;

    /// Every way in which a number may be written.
    fn writings(number: u16, width: u32, padding: Padding) -> Vec<String> {
        let number = number.to_string();
        let missing = width as usize - number.len();
        let padded = |sign: &'static str| (0..=missing).map(move |n| sign.repeat(n));
        let pads: Vec<String> = match padding {
            Padding::None => vec![String::new()],
            Padding::Full => vec!["0".repeat(missing)],
            Padding::Zero => padded("0").collect(),
            Padding::ZeroOrBlank => padded("0").chain(padded(" ")).collect(),
        };
        pads.into_iter().map(|pad| pad + &number).collect()
    }

    #[test]
    fn every_number_of_a_range_is_matched_as_padded_and_no_other_is() {
        let paddings = [Padding::None, Padding::Full, Padding::Zero, Padding::ZeroOrBlank];
        for range in [0..=6, 1..=12, 1..=31, 0..=23, 0..=61, 5..=5, 37..=84, 0..=9, 10..=99] {
            for padding in paddings {
                let expression = super::range(range.clone(), padding);
                let regex = Regex::new(&format!("^(?:{expression})$")).unwrap();
                let width = digits(*range.end());
                let right: BTreeSet<String> = range
                    .clone()
                    .flat_map(|number| writings(number, width, padding))
                    .collect();
                for number in 0..=130 {
                    for before in ["", "0", "00", " ", "  "] {
                        let text = format!("{before}{number}");
                        assert_eq!(
                            regex.is_match(&text),
                            right.contains(&text),
                            "{text:?} {padding:?} {expression}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn long_numbers_are_those_of_the_range_too() {
        for (range, padding) in [
            (1..=366, Padding::Zero),
            (2000..=2099, Padding::Full),
            (0..=9999, Padding::Full),
        ] {
            let regex = Regex::new(&format!("^(?:{})$", super::range(range.clone(), padding))).unwrap();
            let width = digits(*range.end());
            for number in 0..=9999 {
                for text in writings(number, 4, Padding::Zero) {
                    let right =
                        range.contains(&number) && writings(number, width.max(digits(number)), padding).contains(&text);
                    assert_eq!(regex.is_match(&text), right, "{text} of {range:?}");
                }
            }
        }
    }

    #[test]
    fn the_longer_reading_is_preferred() {
        for (range, padding, text, expected) in [
            (1..=12, Padding::Zero, "12", "12"),
            (1..=12, Padding::Zero, "13", "1"),
            (1..=31, Padding::ZeroOrBlank, "31", "31"),
            (1..=31, Padding::ZeroOrBlank, "32", "3"),
            (0..=59, Padding::Zero, "00", "00"),
            (1..=366, Padding::Zero, "3661", "366"),
            (1..=366, Padding::Zero, "0661", "066"),
        ] {
            let regex = Regex::new(&super::range(range, padding)).unwrap();
            assert_eq!(regex.find(text).unwrap().as_str(), expected, "{text}");
        }
    }
}
