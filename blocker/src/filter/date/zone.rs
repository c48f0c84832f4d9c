//! Time zones as logs and jails name them: offsets, and abbreviations that stand for one.
//!
//! An abbreviation means a fixed offset here, whatever the season, and where several places use one, fail2ban's choice counts.

use jiff::tz::{Offset, TimeZone};

/// Minutes east of Greenwich, and the abbreviations that mean them. The single letters are the military's.
const ABBREVIATIONS: [(i32, &str); 36] = [
    (-720, "Y"),
    (-660, "X NUT SST"),
    (-600, "W CKT HAST HST TAHT TKT"),
    (-570, "MART MIT"),
    (-540, "V AKST GAMT GIT HADT HNY"),
    (-480, "U AKDT CIST HAY HNP PST PT"),
    (-420, "T HAP HNR MST PDT"),
    (-360, "S CST EAST GALT HAR HNC MDT"),
    (-300, "R CDT COT EASST ECT EST ET HAC HNE PET"),
    (-270, "HLV VET"),
    (-240, "Q AST BOT CLT COST EDT FKT GYT HAE HNA PYT"),
    (-210, "HNT NST NT"),
    (-180, "P ADT ART BRT CLST FKST GFT HAA PMST PYST SRT UYT WGT"),
    (-150, "HAT NDT"),
    (-120, "O BRST FNT PMDT UYST WGST"),
    (-60, "N AZOT CVT EGT"),
    (0, "Z EGST GMT UTC WET WT"),
    (60, "A CET DFT WAT WEDT WEST"),
    (120, "B CAT CEDT CEST EET SAST WAST"),
    (180, "C EAT EEDT EEST IDT MSK"),
    (210, "IRST"),
    (240, "D AMT AZT GET GST KUYT MSD MUT RET SAMT SCT"),
    (270, "AFT IRDT"),
    (300, "E AMST AQTT AZST HMT MAWT MVT PKT TFT TJT TMT UZT YEKT"),
    (330, "SLT"),
    (345, "NPT"),
    (360, "F ALMT BIOT BTT IOT KGT NOVT OMST YEKST"),
    (390, "CCT MMT"),
    (420, "G CXT DAVT HOVT ICT KRAT NOVST OMSST THA WIB"),
    (480, "H ACT AWST BDT BNT CAST HKT IRKT KRAST MYT PHT SGT ULAT WITA WST"),
    (540, "I AWDT IRKST JST KST PWT TLT WDT WIT YAKT"),
    (570, "ACST"),
    (600, "K AEST PGT VLAT YAKST YAPT"),
    (630, "ACDT LHST"),
    (660, "L AEDT LHDT MAGT NCT PONT SBT VLAST VUT"),
    (720, "M ANAST ANAT FJT GILT MAGST MHT NZST PETST PETT TVT WFT"),
];
const LATEST: (i32, &str) = (780, "FJST NZDT");

/// A zone that a date names: `Z`, `CET`, `+0200`, `UTC+02:00`.
pub(super) fn fixed(text: &str) -> Option<TimeZone> {
    let letters = text
        .find(|char: char| !char.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (name, offset) = text.split_at(letters);
    let minutes = abbreviation(name)? + offset_minutes(offset)?;
    Offset::from_seconds(minutes * 60).ok().map(TimeZone::fixed)
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

fn abbreviation(name: &str) -> Option<i32> {
    if name.is_empty() {
        return Some(0);
    }
    let all = ABBREVIATIONS.iter().chain([&LATEST]);
    let found = all
        .into_iter()
        .find(|(_, names)| names.split(' ').any(|known| known.eq_ignore_ascii_case(name)));
    found.map(|(minutes, _)| *minutes)
}

/// `+02`, `+0200`, `+02:00`, or nothing.
fn offset_minutes(text: &str) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text
        .strip_prefix(['+', '-'])?
        .chars()
        .filter(|char| *char != ':')
        .collect();
    if ![2, 4].contains(&digits.len()) {
        return None;
    }
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits
        .get(2..)
        .filter(|digits| !digits.is_empty())
        .map_or(Some(0), |digits| digits.parse().ok())?;
    Some(sign * (hours * 60 + minutes))
}
