//! Time zones as logs and jails name them: offsets, and abbreviations that stand for one.
//!
//! An abbreviation means a fixed offset here, whatever the season: a log that writes `CEST` has said that it is summer.

use jiff::tz::{Offset, TimeZone};

/// What abbreviations mean, each with its hours, or hours and minutes, east of Greenwich.
///
/// They are those of RFC 822 (section 5.1) and of the IANA time zone database as of 2015, release 2015g, whose data is in the public
/// domain: later releases took most abbreviations away, but logs and programs still have them. Where one changed its offset between
/// 2005 and 2015, the first that it had for itself counts. Of those that several places use, most have one meaning here that logs
/// are likely to intend; `IST` and `BST` have none, since a date that cannot be read does less harm than a wrong time.
const ABBREVIATIONS: [&str; 12] = [
    // Everywhere.
    "GMT+00 UCT+00 UT+00 UTC+00",
    // Europe and the islands before it, then the same in words that only English has.
    "AZOT-01 CVT-01 AZOST+00 WET+00 CET+01 MET+01 WEST+01 CEST+02 EET+02 MEST+02 EEST+03 MSK+03 MSD+04 SAMT+04 SAMST+05",
    "WEDT+01 CEDT+02 EEDT+03",
    // Africa.
    "WAT+01 CAT+02 SAST+02 WAST+02 EAT+03",
    // North America.
    "HAST-10 HST-10 AKST-09 HADT-09 HDT-09 AKDT-08 PST-08 PT-08 MST-07 PDT-07 CST-06 MDT-06 CDT-05 EST-05 ET-05 AST-04 EDT-04 NST-0330 \
     ADT-03 PMST-03 WGT-03 NDT-0230 PMDT-02 WGST-02 EGT-01 EGST+00",
    // Canada, in French: heure normale, heure avancée.
    "HNY-09 HAY-08 HNP-08 HAP-07 HNR-07 HAR-06 HNC-06 HAC-05 HNE-05 HAE-04 HNA-04 HNT-0330 HAA-03 HAT-0230",
    // South America.
    "EAST-06 GALT-06 EASST-05 COT-05 ECT-05 PET-05 BOT-04 CLT-04 FKT-04 GYT-04 PYT-04 VET-04 ART-03 BRT-03 CLST-03 \
     FKST-03 GFT-03 PYST-03 SRT-03 UYT-03 BRST-02 FNT-02 UYST-02",
    // Western, central and southern Asia.
    "IDT+03 IRST+0330 AMT+04 AZT+04 GET+04 GST+04 AFT+0430 IRDT+0430 AMST+05 AQTT+05 AZST+05 KGT+05 ORAT+05 PKT+05 \
     TJT+05 TMT+05 UZT+05 NPT+0545 ALMT+06 BTT+06 KGST+06 LKT+06 QYZT+06 XJT+06",
    // Northern and eastern Asia.
    "YEKT+05 NOVT+06 OMST+06 YEKST+06 MMT+0630 HOVT+07 ICT+07 KRAT+07 NOVST+07 OMSST+07 WIB+07 ACT+08 BDT+08 BNT+08 \
     HKT+08 HOVST+08 IRKT+08 KRAST+08 MYT+08 PHT+08 SGT+08 ULAT+08 WITA+08 CHOT+09 IRKST+09 JST+09 KST+09 TLT+09 ULAST+09 \
     WIT+09 YAKT+09 CHOST+10 SAKT+10 VLAT+10 YAKST+10 MAGT+11 SAKST+11 SRET+11 VLAST+11 ANAT+12 MAGST+12 PETT+12 ANAST+13 \
     PETST+13",
    // The Indian Ocean and the Antarctic.
    "MUT+04 RET+04 SCT+04 MVT+05 TFT+05 IOT+06 CCT+0630 CXT+07 \
     ROTT-03 SYOT+03 MAWT+06 VOST+06 DAVT+07 DDUT+10 CAST+11 MIST+11",
    // Australia.
    "AWST+08 WST+08 AWDT+09 ACWST+0845 ACST+0930 AEST+10 ACDT+1030 LHST+1030 AEDT+11 LHDT+11",
    // New Zealand and the Pacific.
    "NUT-11 SST-11 TKT-11 CKT-10 TAHT-10 MART-0930 GAMT-09 PWT+09 CHST+10 CHUT+10 PGT+10 KOST+11 NCT+11 PONT+11 SBT+11 \
     VUT+11 NFT+1130 FJT+12 GILT+12 MHT+12 NRT+12 NZST+12 TVT+12 WAKT+12 WFT+12 CHAST+1245 FJST+13 NZDT+13 PHOT+13 TOT+13 \
     WSST+13 CHADT+1345 LINT+14 WSDT+14",
];

/// A zone that a date names: `Z`, `CET`, `+0200`, `UTC+02:00`.
pub(super) fn fixed(text: &str) -> Option<TimeZone> {
    let (name, offset) = split(text);
    let minutes = match name {
        "" => 0,
        name => military(name).or_else(|| abbreviation(name))?,
    };
    let seconds = (minutes + offset_minutes(offset)?) * 60;
    Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

/// A zone as a configuration or `TZ` names it: as a date does, by the name of the zone database, or by POSIX's rules.
///
/// # Errors
///
/// When it is none of these, in words.
pub fn parse(text: &str) -> Result<TimeZone, String> {
    let text = text.trim();
    let named = fixed(text)
        .or_else(|| TimeZone::get(text).ok())
        .or_else(|| TimeZone::posix(text).ok());
    named.ok_or_else(|| {
        format!("`{text}` is no time zone; write `Europe/Berlin`, `UTC+0200` or POSIX's `CET-1CEST,M3.5.0,M10.5.0/3`")
    })
}

/// Letters, and what follows them.
fn split(text: &str) -> (&str, &str) {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    text.split_at(letters)
}

/// The minutes of a single letter of RFC 2822, section 4.3: `A` to `M` count the hours to the east, `N` to `Y` those to the west, `Z` has
/// none, and `J` stands for no zone.
fn military(name: &str) -> Option<i32> {
    let &[letter] = name.as_bytes() else {
        return None;
    };
    let letter = letter.to_ascii_uppercase();
    let hours = |from: u8| i32::from(letter - from) + 1;
    let hours = match letter {
        b'A'..=b'I' => hours(b'A'),
        b'K'..=b'M' => hours(b'A') - 1,
        b'N'..=b'Y' => -hours(b'N'),
        b'Z' => 0,
        _ => return None,
    };
    Some(hours * 60)
}

fn abbreviation(name: &str) -> Option<i32> {
    let mut known = known();
    let (_, offset) = known.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    offset_minutes(offset)
}

/// The abbreviations, and their offsets.
fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    ABBREVIATIONS
        .iter()
        .flat_map(|names| names.split_ascii_whitespace())
        .map(split)
}

/// `+02`, `+0200`, `+02:00`, or nothing.
fn offset_minutes(text: &str) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let hours = two_digits(hours)?;
    let minutes = match minutes.strip_prefix(':').unwrap_or(minutes) {
        "" => 0,
        minutes => two_digits(minutes)?,
    };
    Some(sign * (hours * 60 + minutes))
}

fn two_digits(text: &str) -> Option<i32> {
    let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::{Timestamp, tz};

    use super::*;

    fn minutes(text: &str) -> Option<i32> {
        let offset = fixed(text)?.to_offset(Timestamp::UNIX_EPOCH);
        Some(offset.seconds() / 60)
    }

    #[test]
    fn every_abbreviation_stands_once_and_can_be_read() {
        let mut seen = BTreeSet::new();
        for (name, offset) in known() {
            assert!(seen.insert(name), "{name} twice");
            assert!((2..=5).contains(&name.len()), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_uppercase()), "{name}");
            assert!(
                offset_minutes(offset).is_some_and(|minutes| minutes.abs() <= 14 * 60),
                "{name}{offset}"
            );
        }
    }

    #[test]
    fn what_the_zone_database_still_has_means_the_same_there() {
        // Offsets of all places, by abbreviation, in a winter and a summer of today.
        let mut today: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for name in tz::db().available() {
            let zone = TimeZone::get(name.as_str()).unwrap();
            for time in ["2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"] {
                let info = zone.to_offset_info(time.parse().unwrap());
                let offsets = today.entry(info.abbreviation().to_owned()).or_default();
                offsets.insert(info.offset().seconds() / 60);
            }
        }
        let mut compared = 0;
        for (name, _) in known() {
            if let Some(offsets) = today.get(name) {
                assert!(offsets.contains(&minutes(name).unwrap()), "{name}: {offsets:?}");
                compared += 1;
            }
        }
        assert!(compared > 30, "only {compared} compared");
    }

    #[test]
    fn a_single_letter_is_the_militarys() {
        for (letters, hours) in [("ABCDEFGHIKLM", 1), ("NOPQRSTUVWXY", -1)] {
            for (letter, n) in letters.chars().zip(1..) {
                assert_eq!(minutes(&letter.to_string()), Some(hours * n * 60), "{letter}");
            }
        }
        assert_eq!(minutes("z"), Some(0));
        assert_eq!(minutes("J"), None);
    }

    #[test]
    fn an_abbreviation_and_an_offset_add_up() {
        for (text, expected) in [
            ("", Some(0)),
            ("cest", Some(120)),
            ("UTC-0330", Some(-210)),
            ("CET+01", Some(120)),
            ("+05:45", Some(345)),
            ("NST-00:30", Some(-240)),
            ("CST", Some(-360)),
            ("AMT", Some(240)),
            ("HAT", Some(-150)),
        ] {
            assert_eq!(minutes(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_or_many_meanings_is_no_zone() {
        for text in [
            "IST", "BST", "XYZ", "CETS", "CET+", "CET+1", "+1", "++1", "+02:0", "+02000", "+٠٢", "-99", "CET 1",
        ] {
            assert_eq!(minutes(text), None, "{text}");
        }
    }
}
