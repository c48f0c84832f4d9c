use super::*;

fn translated(expression: &str) -> String {
    translate(expression, Lines::One).unwrap().text
}

fn what(expression: &str) -> String {
    translate(expression, Lines::One).unwrap_err().what
}

#[test]
fn what_both_languages_read_alike_stays() {
    for expression in [
        r"^a.b*?c+d{2,3}(?:e|f)$",
        r"\d\D\b\B",
        r"(?P<user>[^ ]+)",
        "(?i:a)",
        r"[\d_]",
    ] {
        let expected = expression.replace('$', "(?m:$)");
        assert_eq!(translated(expression), expected);
        assert!(!translate(expression, Lines::One).unwrap().backtracks);
    }
}

#[test]
fn blanks_letters_and_digits_are_pythons() {
    let matches = |expression: &str, text: &str| regex::Regex::new(&translated(expression)).unwrap().is_match(text);
    for blank in [" ", "\u{1c}", "\u{1f}", "\u{85}", "\u{a0}"] {
        assert!(matches(r"^\s$", blank) && matches(r"^[x\s]$", blank), "{blank:?}");
        assert!(!matches(r"^\S$", blank) && !matches(r"^[x\S]$", blank), "{blank:?}");
    }
    for letter in ["a", "_", "é", "²", "½"] {
        assert!(matches(r"^\w$", letter) && !matches(r"^[.\W]$", letter), "{letter}");
    }
    assert!(!matches(r"^\w$", "\u{301}") && matches(r"^[^\w]$", "\u{301}"));
}

#[test]
fn members_of_a_class_are_plain_characters() {
    assert_eq!(translated(r"[^[]*\[x\]"), r"[^\[]*\[x\]");
    assert_eq!(translated("[]a]"), r"[\]a]");
    assert_eq!(translated("[^]a]"), r"[^\]a]");
    assert_eq!(translated("[a&&b~~c]"), r"[a\&\&b\~\~c]");
    assert_eq!(translated(r"[-a-z.-]"), r"[\-a-z\.\-]");
    assert_eq!(translated(r"[+--]"), r"[\+-\-]");
    assert_eq!(translated(r"[\<\b\101\]]"), r"[<\x{8}A\]]");
    assert_eq!(translated("[[:alpha:]]"), r"[\[:alpha:]\]");
}

#[test]
fn escaped_plain_characters_are_plain() {
    assert_eq!(translated(r"\<a\>\ \-\_\é"), r"<a> \-_é");
    assert_eq!(translated(r"\x41\u00e9\t\0\011"), "Aé\\x{9}\\x{0}\\x{9}");
}

#[test]
fn a_repetition_may_lack_its_lower_bound_and_a_brace_may_be_plain() {
    assert_eq!(translated("a{,3}b{2}c{2,}"), "a{0,3}b{2}c{2,}");
    assert_eq!(translated("a{b}{}{1,2,3}"), r"a\{b\}\{\}\{1,2,3\}");
}

#[test]
fn flags_in_the_middle_cover_their_group() {
    assert_eq!(translated("((?i)A|B)x"), "(?i:A|B)x");
    assert_eq!(translated("(?:(?i)A|B)x"), "(?i:A|B)x");
    assert_eq!(translated("a(?i)b"), "(?i)ab");
    assert_eq!(translated("(?u)(?s-i:a)"), "(?s-i:a)");
}

#[test]
fn verbose_expressions_lose_blanks_and_comments() {
    assert_eq!(translated("(?x) a [ #] \\  # (\n b"), r"a[ \#] b");
    assert_eq!(translated("(?x: a )b c"), "(?:a)b c");
    assert_eq!(translated("a(?# no )b"), "ab");
}

#[test]
fn lines_have_ends_of_their_own_where_there_are_several() {
    assert_eq!(translate("^a$", Lines::Together).unwrap().text, r"^a(?:\n?\z)");
    assert_eq!(translate("^a$", Lines::Several).unwrap().text, "(?m:^)a(?m:$)");
    assert_eq!(translated("(?m)^a$"), "(?m:^)a(?m:$)");
    assert_eq!(translated(r"\Aa\Z"), r"\Aa\z");
}

#[test]
fn ascii_flag_narrows_the_classes() {
    assert_eq!(translated(r"(?a)\d[\W]"), "[0-9][[^0-9A-Za-z_]]");
}

#[test]
fn what_only_a_backtracking_engine_can_do_is_told() {
    let cases = [
        ("a(?!b)", "a(?:(?!b))"),
        ("(?<=a)?b", "(?:(?<=a)|)b"),
        ("(?<=a){0,2}?b", "(?:(?<=a)|)b"),
        ("(?!a)+?b(?=c){2}", "(?:(?!a))b(?:(?=c))"),
        ("(?P<x>a)(?P=x)", "(?P<x>a)(?P=x)"),
        (r"(a)\1", r"(a)(?:\1)"),
        ("(?P<x>a)?(?(x)b|c)", "(?P<x>a)?(?(<x>)b|c)"),
        ("(a)?(?(1)b)", "(a)?(?(1)b)"),
        ("a*+", "a*+"),
        ("(?>a)", "(?>a)"),
    ];
    for (expression, expected) in cases {
        let translated = translate(expression, Lines::One).unwrap();
        assert!(translated.backtracks, "{expression}");
        assert_eq!(translated.text, expected);
    }
}

#[test]
fn what_python_refuses_is_refused() {
    let cases = [
        ("a**", "repeats nothing"),
        ("*a", "repeats nothing"),
        ("(+)", "repeats nothing"),
        ("a|+", "repeats nothing"),
        ("(a", "unclosed group"),
        ("a)", "closes what no"),
        ("[a", "unclosed character class"),
        ("[z-a]", "is empty"),
        (r"[\w-z]", "range"),
        (r"\h", r"no escape `\h`"),
        (r"\xg1", "no escape"),
        ("\\", "lone"),
        ("(?<user>a)", "(?P<"),
        ("(?y)a", "no flag `y`"),
        ("(?P<1>a)", "cannot be a group's name"),
        ("(?P<x>a)(?P<x>b)", "named twice"),
    ];
    for (expression, part) in cases {
        assert!(what(expression).contains(part), "{expression}: {}", what(expression));
    }
}

proptest::proptest! {
    #[test]
    fn what_it_writes_compiles_and_plain_text_matches_itself(text in "[ -~é]{0,40}") {
        let escaped: String = text.chars().flat_map(|char| {
            let escape = (!char.is_ascii_alphanumeric()).then_some('\\');
            escape.into_iter().chain([char])
        }).collect();
        let translated = translated(&format!("^{escaped}$"));
        let line = format!("{text}\n");
        proptest::prop_assert!(regex::Regex::new(&translated).unwrap().is_match(&line));
    }

    #[test]
    fn no_expression_makes_it_panic(expression in r"([\[\](){}^$*+?|\\.,:=!<>P#a-z0-9 -]|\PC){0,60}") {
        if let Ok(translated) = translate(&expression, Lines::One) {
            let _ = fancy_regex::Regex::new(&translated.text);
        }
    }
}
