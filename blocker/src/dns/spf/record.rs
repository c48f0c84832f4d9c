//! The text of an SPF record (RFC 7208, 4.5 and 4.6), as far as it lists who may send.

use ipnet::IpNet;

use crate::ban::Subject;
use crate::dns::HostName;

/// Terms of one record that are read.
const MAX_TERMS: usize = 512;

/// A term that lists senders, or refers to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// `ip4:` or `ip6:`.
    Network(IpNet),
    /// `a`: the addresses of a host, or of the domain itself.
    Addresses(Option<HostName>, Lengths),
    /// `mx`: those of the hosts that take a domain's mail.
    Exchanges(Option<HostName>, Lengths),
    /// `include:`, or `redirect=` where nothing stands in its way.
    Record(HostName),
    /// One that asks the DNS about each sender, and so lists none.
    Asks,
}

/// How long the prefixes of networks around addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Of IPv4's, at most 32.
    pub v4: u8,
    /// Of IPv6's, at most 128.
    pub v6: u8,
}

/// What a record says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Those that list senders or ask the DNS, in the order in which they stand there.
    pub terms: Vec<Term>,
    /// Terms that were left out, and why.
    pub warnings: Vec<String>,
}

/// Whether a text is an SPF record.
#[must_use]
pub fn is_spf(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

impl Record {
    /// Reads a text that [`is_spf`]. What cannot be read is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut record = Self::default();
        let mut redirect = None;
        let mut ended = false;
        let words = text.split(' ').skip(1).filter(|word| !word.is_empty());
        for word in words.take(MAX_TERMS) {
            if let Some(domain) = strip(word, "redirect=") {
                redirect = redirect.or(Some((word, domain)));
            } else if is_modifier(word) || ended {
                // Those that are not known mean nothing, and nothing comes after `all`.
            } else if word
                .trim_start_matches(['+', '-', '~', '?'])
                .eq_ignore_ascii_case("all")
            {
                ended = true;
                if !word.starts_with(['-', '~', '?']) {
                    record.leave_out(word, "would allow everybody");
                }
            } else {
                record.mechanism(word);
            }
        }
        if let (Some((word, domain)), false) = (redirect, ended) {
            record.refer(word, domain);
        }
        record
    }

    fn mechanism(&mut self, word: &str) {
        // Only what a record says yes to is listed; but what asks the DNS counts, whatever it says.
        let (yes, mechanism) = match word.strip_prefix(['-', '~', '?']) {
            Some(rest) => (false, rest),
            None => (true, word.strip_prefix('+').unwrap_or(word)),
        };
        let end = mechanism.find([':', '/']).unwrap_or(mechanism.len());
        let (name, value) = mechanism.split_at(end);
        match name.to_ascii_lowercase().as_str() {
            "ip4" | "ip6" if !yes => {}
            "a" | "mx" | "include" | "exists" | "ptr" if !yes => self.terms.push(Term::Asks),
            "ip4" | "ip6" => match network(value.strip_prefix(':').unwrap_or_default(), name.ends_with('6')) {
                Some(network) => self.terms.push(Term::Network(network)),
                None => self.leave_out(word, "names no network"),
            },
            "a" => self.around(word, value, Term::Addresses),
            "mx" => self.around(word, value, Term::Exchanges),
            "include" => self.refer(word, value.strip_prefix(':').unwrap_or_default()),
            "exists" | "ptr" => {
                self.terms.push(Term::Asks);
                self.leave_out(word, "depends on each sender, and lists none");
            }
            _ => self.leave_out(word, "is not known"),
        }
    }

    fn refer(&mut self, word: &str, domain: &str) {
        match domain.parse() {
            Ok(domain) => self.terms.push(Term::Record(domain)),
            Err(_) => self.no_name(word),
        }
    }

    /// Reads what follows `a` or `mx`: `:domain/24//64`, all of it optional.
    fn around(&mut self, word: &str, value: &str, term: impl Fn(Option<HostName>, Lengths) -> Term) {
        let (domain, lengths) = value.split_at(value.find('/').unwrap_or(value.len()));
        let Some(lengths) = lengths_of(lengths) else {
            self.leave_out(word, "has no length of a prefix after its `/`");
            return;
        };
        match domain.strip_prefix(':').map(str::parse) {
            None => self.terms.push(term(None, lengths)),
            Some(Ok(domain)) => self.terms.push(term(Some(domain), lengths)),
            Some(Err(_)) => self.no_name(word),
        }
    }

    fn no_name(&mut self, word: &str) {
        self.terms.push(Term::Asks);
        if word.contains('%') {
            self.leave_out(word, "has a macro, which depends on each sender");
        } else {
            self.leave_out(word, "names no domain");
        }
    }

    fn leave_out(&mut self, word: &str, why: &str) {
        self.warnings.push(format!("`{word}` {why}"));
    }
}

/// `name=value` with a name of letters, digits and a few signs: a modifier.
fn is_modifier(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|char: char| char.is_ascii_alphabetic())
            && name
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char))
    })
}

/// What follows a prefix, however that is written.
fn strip<'a>(word: &'a str, prefix: &str) -> Option<&'a str> {
    let head = word.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &word[prefix.len()..])
}

fn network(text: &str, ipv6: bool) -> Option<IpNet> {
    let subject: Subject = text.parse().ok()?;
    let written_as_ipv6 = text.contains(':');
    (written_as_ipv6 == ipv6).then(|| subject.network())
}

/// Reads ``, `/24`, `//64`, `/24//64`.
fn lengths_of(text: &str) -> Option<Lengths> {
    let (v4, v6) = match text.split_once("//") {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (text, None),
    };
    let v4 = match v4.strip_prefix('/') {
        Some(v4) => v4.parse().ok()?,
        None if v4.is_empty() => 32,
        None => return None,
    };
    let v6 = v6.map_or(Some(128), |v6| v6.parse().ok())?;
    (v4 <= 32 && v6 <= 128).then_some(Lengths { v4, v6 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<Term> {
        let record = Record::parse(text);
        assert_eq!(record.warnings, [] as [&str; 0]);
        record.terms
    }

    fn net(text: &str) -> Term {
        Term::Network(text.parse().unwrap())
    }

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_text_of_version_1_is_a_record() {
        assert!(is_spf("v=spf1") && is_spf("V=SPF1 -all"));
        for text in ["", "v=spf10 +all", "spf2.0/pra", "v=spf1+all"] {
            assert!(!is_spf(text), "{text}");
        }
    }

    #[test]
    fn every_term_that_lists_senders_is_read() {
        let all = Lengths { v4: 32, v6: 128 };
        let text = "v=spf1 ip4:192.0.2.7 +IP4:198.51.100.9/24  ip6:2001:db8::/32 a mx a:mail.example/28//64 mx/24 \
                    a//64 include:_spf.example exp=why.example x-new=1 ~all";
        let expected = [
            net("192.0.2.7/32"),
            net("198.51.100.0/24"),
            net("2001:db8::/32"),
            Term::Addresses(None, all),
            Term::Exchanges(None, all),
            Term::Addresses(Some(name("mail.example")), Lengths { v4: 28, v6: 64 }),
            Term::Exchanges(None, Lengths { v4: 24, v6: 128 }),
            Term::Addresses(None, Lengths { v4: 32, v6: 64 }),
            Term::Record(name("_spf.example")),
        ];
        assert_eq!(terms(text), expected);
    }

    #[test]
    fn a_redirect_counts_unless_the_record_ends_with_all() {
        let redirect = [Term::Record(name("b.example"))];
        assert_eq!(terms("v=spf1 redirect=b.example"), redirect);
        assert_eq!(terms("v=spf1 Redirect=b.example redirect=c.example"), redirect);
        assert_eq!(terms("v=spf1 redirect=b.example -all"), []);
    }

    #[test]
    fn what_a_record_denies_is_not_listed() {
        assert_eq!(
            terms("v=spf1 -ip4:192.0.2.7 ?ip6:2001:db8::7 ~include:x.example -all ip4:192.0.2.9"),
            [Term::Asks]
        );
    }

    #[test]
    fn what_cannot_be_listed_is_told() {
        let cases = [
            ("+all", "everybody", 0),
            ("all", "everybody", 0),
            ("include:%{i}._spf.example", "macro", 1),
            ("redirect=%{d2}", "macro", 1),
            ("exists:x.example", "each sender", 1),
            ("ptr", "each sender", 1),
            ("ip4:2001:db8::1", "no network", 0),
            ("ip6:192.0.2.1", "no network", 0),
            ("ip4:192.0.2.1/33", "no network", 0),
            ("ip4", "no network", 0),
            ("a:x.example/33", "length", 0),
            ("a:x.example/24/64", "length", 0),
            ("mx//129", "length", 0),
            ("include:", "no domain", 1),
            ("ipv4:192.0.2.1", "not known", 0),
            ("\u{e9}\u{1b}[31m", "not known", 0),
        ];
        for (term, why, asks) in cases {
            let record = Record::parse(&format!("v=spf1 {term}"));
            assert_eq!(record.terms, vec![Term::Asks; asks], "{term}");
            assert!(
                record.warnings.len() == 1 && record.warnings[0].contains(why),
                "{:?}",
                record.warnings
            );
        }
    }

    #[test]
    fn ipv4_in_ipv6s_clothes_is_ipv4_with_its_own_length() {
        assert_eq!(terms("v=spf1 ip6:::ffff:0:0/96"), [net("0.0.0.0/0")]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC{0,200}", terms in proptest::collection::vec("[-+~?]?(a|mx|ip4|include|redirect)[:=/]?[a-z0-9.%/:]{0,12}", 0..40)) {
            let _ = Record::parse(&text);
            let text = format!("v=spf1 {} {text}", terms.join(" "));
            let record = Record::parse(&text);
            proptest::prop_assert_eq!(&record.terms, &Record::parse(&text.to_ascii_uppercase()).terms);
            proptest::prop_assert_eq!(&record.terms, &Record::parse(&text.replace(' ', "  ")).terms);
        }
    }
}
