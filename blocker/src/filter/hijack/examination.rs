//! A filter's expressions, one after the other, each along its ways.

use std::sync::Arc;

use super::case::{Case, HOSTS, Host};
use super::lead::{Led, Way, anywhere, around, first_line};
use super::plain::{LookAround, plain};
use super::proof::Proof;
use super::sample::{Fill, Piece, Route, Sample, routes};
use super::tree::{Tag, Tree};
use crate::filter::{Filter, Regex};
use crate::problem::{Problem, printable};

/// Ways through an expression that are tried, for each kind of address.
const MAX_ROUTES: usize = 512;
/// Failregexes of which one is to show what a prefregex leaves.
const MAX_INNER: usize = 16;
/// Optional things around what a prefregex leaves that are tried.
const MAX_AROUND: usize = 32;
/// What a piece of a text takes, in the measure of [`Proof`].
const PIECE_WORK: u64 = 200;
/// What it takes to learn what a repetition of more than single signs accepts.
const COSTLY_WORK: u64 = 2_000_000;
/// Signs of an expression that are shown.
const SHOWN: usize = 120;

/// An expression under examination.
#[derive(Clone, Copy)]
struct Subject<'a> {
    key: &'static str,
    regex: &'a Regex,
    /// Its index, if it is a failregex.
    failregex: Option<usize>,
}

impl Subject<'_> {
    fn not_examined(&self, why: &str) -> Problem {
        Problem {
            place: self.regex.place.clone(),
            what: format!("not examined: {} `{}`: {why}", self.key, shortened(&self.regex.text)),
            hint: "see for yourself that nothing a client says can be taken for his address".to_owned(),
        }
    }
}

/// What stands around the text that failregexes see.
struct Around<'a> {
    regex: &'a Regex,
    samples: Vec<(Sample, &'static str)>,
}

/// A filter under examination.
pub(super) struct Examination<'a> {
    filter: &'a Arc<Filter>,
    proof: Proof<'a>,
    around: Option<Around<'a>>,
    found: Vec<Problem>,
}

impl<'a> Examination<'a> {
    pub(super) const fn new(filter: &'a Arc<Filter>) -> Self {
        Self {
            filter,
            proof: Proof::new(filter),
            around: None,
            found: Vec::new(),
        }
    }

    /// Everything that was found.
    pub(super) fn all(mut self) -> Vec<Problem> {
        if let Some(regex) = self.filter.prefregex() {
            let subject = Subject {
                key: "prefregex",
                regex,
                failregex: None,
            };
            match forms(regex) {
                Ok(forms) => self.prefregex(subject, &forms),
                Err(why) => {
                    let why = format!("{why}; nor were the failregexes behind it");
                    return vec![subject.not_examined(&why)];
                }
            }
        }
        for (n, regex) in self.filter.failregex().iter().enumerate() {
            // Without an address it only adds to a session, whose address is for other expressions to find.
            if ["ip4", "ip6", "dns", "fid"]
                .iter()
                .any(|name| regex.pattern.group(name).is_some())
            {
                let subject = Subject {
                    key: "failregex",
                    regex,
                    failregex: Some(n),
                };
                self.failregex(subject);
            }
        }
        self.found
    }

    fn prefregex(&mut self, subject: Subject<'a>, forms: &[Tree]) {
        let own = HOSTS
            .into_iter()
            .find(|host| forms.iter().any(|form| form.root.has(host.tag)));
        let tag = own.map_or(Tag::Content, |host| host.tag);
        let samples = forms.iter().flat_map(|form| around_content(form, tag));
        let samples = samples
            .map(|sample| (sample, own.map_or("", |host| host.client)))
            .collect();
        self.around = Some(Around {
            regex: subject.regex,
            samples,
        });
        let inner = self.inner();
        let held = inner.iter().filter(|(host, _)| own.is_some() || host.is_some());
        let cases: Vec<Case> = held
            .filter_map(|(host, sample)| {
                let host = own.or(*host)?;
                let contents = [host.client, host.victim].map(|address| sample.text(.., Fill { address, content: "" }));
                Some(Case { tag, host, contents })
            })
            .collect();
        // Either the prefix holds the address, or the text that it leaves does. Otherwise there is none to be led past.
        let fits = cases.into_iter().find(|case| {
            let line = self.in_prefix(&case.contents[0]);
            line.is_some_and(|line| self.proof.blames(None, &line, case.host.client))
        });
        if let Some(case) = fits {
            self.examine(subject, forms, &[case]);
        }
    }

    /// What failregexes may see, each with the kind of address in it.
    fn inner(&self) -> Vec<(Option<Host>, Sample)> {
        let mut inner = Vec::new();
        for regex in self.filter.failregex().iter().take(MAX_INNER) {
            for form in forms(regex).unwrap_or_default() {
                let hosts = HOSTS.into_iter().filter(|host| form.root.has(host.tag)).map(Some);
                let host = hosts.chain([None]).next().flatten();
                let route = Route {
                    tag: host.map(|host| host.tag),
                    ..Route::SHORTEST
                };
                inner.extend(Sample::of(&form.root, route).map(|sample| (host, sample)));
            }
        }
        inner
    }

    fn failregex(&mut self, subject: Subject<'_>) {
        if self.proof.is_exhausted() {
            self.found.push(subject.not_examined(TOO_LONG));
            return;
        }
        let forms = match forms(subject.regex) {
            Ok(forms) => forms,
            Err(why) => {
                self.found.push(subject.not_examined(why));
                return;
            }
        };
        let held = HOSTS
            .into_iter()
            .filter(|host| forms.iter().any(|form| form.root.has(host.tag)));
        let cases: Vec<Case> = held
            .map(|host| Case {
                tag: host.tag,
                host,
                contents: Default::default(),
            })
            .collect();
        self.examine(subject, &forms, &cases);
    }

    fn examine(&mut self, subject: Subject<'_>, forms: &[Tree], cases: &[Case]) {
        let (mut is_matched, mut is_mistaken, mut left_out) = (false, false, false);
        for form in forms {
            for case in cases.iter().filter(|case| form.root.has(case.tag)) {
                for (n, route) in routes(form, case.tag).enumerate() {
                    if n == MAX_ROUTES {
                        left_out = true;
                        break;
                    }
                    let Some(sample) = Sample::of(&form.root, route) else {
                        continue;
                    };
                    let [client, victim] = case.fills();
                    let honest = sample.text(.., client);
                    self.proof.spend(work(&sample, route));
                    is_matched = is_matched || self.shown(subject, &honest, case.host.client).is_some();
                    is_mistaken |= !is_matched && self.proof.matches(&subject.regex.pattern, &honest);
                    for led in along(form, &sample, route, client, victim) {
                        if let Some(line) = self.line(subject, &led.line, case.host.victim) {
                            let way = match led.way {
                                Way::Past if form.ends_line && !may_follow(&sample, route, victim) => Way::PastAtEnd,
                                way => way,
                            };
                            self.found.push(problem(subject, case.host, &line, way));
                            return;
                        }
                    }
                }
            }
        }
        if self.proof.is_exhausted() {
            self.found.push(subject.not_examined(TOO_LONG));
        } else if !is_matched && is_mistaken {
            self.found.push(Problem {
                place: subject.regex.place.clone(),
                what: format!(
                    "{} `{}` takes something else than the client's address for it, such as a part of it",
                    subject.key,
                    shortened(&subject.regex.text)
                ),
                hint: "write what stands before the address, in the place of `.*`: it takes as much as it can"
                    .to_owned(),
            });
        } else if !is_matched {
            self.found
                .push(subject.not_examined("no line could be made that it matches"));
        } else if left_out {
            let why = format!("there are too many ways through it; the first {MAX_ROUTES} were, and are sound");
            self.found.push(subject.not_examined(&why));
        }
    }

    /// The line that shows this text to an expression, if the filter then blames somebody for it.
    fn line(&mut self, subject: Subject<'_>, text: &str, whom: &str) -> Option<String> {
        let line = self.shown(subject, text, whom)?;
        self.proof.blames(subject.failregex, &line, whom).then_some(line)
    }

    /// The line that shows this text to an expression, if that finds somebody in it.
    fn shown(&mut self, subject: Subject<'_>, text: &str, whom: &str) -> Option<String> {
        let pattern = &subject.regex.pattern;
        match subject.failregex {
            Some(_) if self.proof.finds(pattern, text, whom) => self.in_prefix(text),
            None if self.proof.matches(pattern, text) => Some(text.to_owned()),
            Some(_) | None => None,
        }
    }

    /// A line of which the prefregex leaves this text, and no less of it.
    fn in_prefix(&mut self, content: &str) -> Option<String> {
        let Some(Around { regex, samples }) = &self.around else {
            return Some(content.to_owned());
        };
        if regex.pattern.group("content").is_none() {
            // The failregexes see the line as it is.
            return self.proof.matches(&regex.pattern, content).then(|| content.to_owned());
        }
        samples.iter().find_map(|(sample, address)| {
            let line = sample.text(.., Fill { address, content });
            self.proof.leaves(&regex.pattern, &line, content).then_some(line)
        })
    }
}

/// What may stand around the content of a prefregex: as little as possible, or each optional thing by itself, or all of them. Where
/// one of them is missing, an expression that looks for it may take the content's first word for it.
fn around_content(form: &Tree, tag: Tag) -> Vec<Sample> {
    let through = form.branches.iter().take(MAX_AROUND).map(|mark| Some(*mark));
    let routes = [(None, false)].into_iter().chain(through.map(|mark| (mark, false)));
    let routes = routes.chain([(None, true)]).map(|(through, takes_optional)| Route {
        tag: Some(tag),
        through,
        takes_optional,
    });
    routes.filter_map(|route| Sample::of(&form.root, route)).collect()
}

const TOO_LONG: &str = "the filter's expressions would take too long";

/// What an expression takes; more than once where it looks around.
fn forms(regex: &Regex) -> Result<Vec<Tree>, &'static str> {
    let mut why = "it refers to what it only looks at";
    let mut forms = Vec::new();
    for look_around in [LookAround::Dropped, LookAround::Written] {
        let Some(plain) = plain(regex.pattern.expression(), look_around) else {
            continue;
        };
        match Tree::read(&plain) {
            Ok(tree) => forms.push(tree),
            Err(error) => why = error,
        }
        if !plain.looks {
            break;
        }
    }
    if forms.is_empty() { Err(why) } else { Ok(forms) }
}

/// Work that one way takes before any line is searched.
fn work(sample: &Sample, route: Route) -> u64 {
    let is_costly = |at: usize| matches!(&sample.pieces[at], Piece::Loose(loose, _) if loose.is_costly());
    let costly = marked(sample, route).filter(|at| is_costly(*at)).count();
    sample.pieces.len() as u64 * PIECE_WORK + costly as u64 * COSTLY_WORK
}

/// The lines that are worth a try along one way: those that no other way has.
fn along(form: &Tree, sample: &Sample, route: Route, client: Fill<'_>, victim: Fill<'_>) -> Vec<Led> {
    let target = sample.target().unwrap_or_default();
    // What lets IPv6 or a name past and no IPv4 is meant for something else, such as the `<[^.]+\.[^.]+>` of syslog's level.
    let is_free = |at: &usize| {
        let v4 = HOSTS[0];
        let knows_v4 = form.root.has(v4.tag) && route.tag != Some(v4.tag);
        !knows_v4 || matches!(&sample.pieces[*at], Piece::Loose(loose, _) if loose.accepts(v4.victim))
    };
    let repeated: Vec<usize> = marked(sample, route).filter(|at| *at < target).collect();
    if repeated.is_empty() {
        let begin = sample.begins_anywhere(form.is_anchored);
        return begin
            .map(|begin| anywhere(sample, begin, client, victim))
            .unwrap_or_default();
    }
    let led = repeated
        .into_iter()
        .filter(is_free)
        .flat_map(|at| around(sample, at, client, victim));
    led.collect()
}

/// The pieces of the repetition that a way leads through.
fn marked(sample: &Sample, route: Route) -> impl Iterator<Item = usize> {
    let pieces = sample.pieces.iter().enumerate();
    let marked =
        pieces.filter(move |(_, piece)| matches!(piece, Piece::Loose(_, mark) if Some(*mark) == route.through));
    marked.map(|(at, _)| at)
}

/// Whether the expression itself has a place behind the address for the words that led it past.
fn may_follow(sample: &Sample, route: Route, victim: Fill<'_>) -> bool {
    marked(sample, route).any(|at| {
        let other = sample.text(at + 1.., victim);
        sample.is_followed_by(&format!(" {}", first_line(&other).0))
    })
}

fn problem(subject: Subject<'_>, host: Host, line: &str, way: Way) -> Problem {
    let Host { client, victim, .. } = host;
    Problem {
        place: subject.regex.place.clone(),
        what: format!(
            "{} `{}` can be led astray: a client at {client} who gets the line `{}` logged has {victim} banned in his place",
            subject.key,
            shortened(&subject.regex.text),
            printable(line)
        ),
        hint: way.hint().to_owned(),
    }
}

/// The end of a long expression: its beginning is mostly the same for all of a filter's.
fn shortened(text: &str) -> String {
    let len = text.chars().count();
    if len <= SHOWN {
        return printable(text);
    }
    let end: String = text.chars().skip(len - SHOWN).collect();
    format!("…{}", printable(&end))
}
