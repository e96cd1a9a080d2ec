//! The rules of patterns, as `sdk/src/filter.rs` documents and tests them, and what only the host needs.

use std::time::{Duration, Instant};

use super::*;

fn pattern(globs: &[&str]) -> Pattern {
    Pattern::new(globs.iter().map(|glob| (*glob).to_owned()).collect()).expect("pattern")
}

fn filter(include: &[&[&str]], exclude: &[&[&str]]) -> Filter {
    let patterns = |all: &[&[&str]]| all.iter().map(|globs| pattern(globs)).collect();
    Filter::new(patterns(include), patterns(exclude)).expect("filter")
}

fn keeps(filter: &Filter, path: &[&str]) -> bool {
    filter.keeps(path.iter().copied())
}

#[test]
fn globs_match_whole_names_exactly() {
    for (glob, name, expect) in [
        ("*", "", true),
        ("RAW_*", "RAW_", true),
        ("RAW_*", "raw_x", false),
        ("*_V?", "A_V1_V2", true),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false),
        ("??", "ä👾", true),
        ("\\*", "*", true),
        ("\\*", "x", false),
        ("a\\", "a\\", true),
        ("a\\b", "ab", true),
        ("**", "x", true),
        ("*x*", "yxz", true),
        ("", "", true),
        ("", "x", false),
    ] {
        assert_eq!(matches(glob, name), expect, "{glob} {name}");
    }
}

#[test]
fn no_pattern_takes_longer_than_the_product_of_lengths() {
    let begun = Instant::now();
    assert!(!matches(&"*a".repeat(256), &"a".repeat(255)));
    assert!(!matches(&format!("{}b", "*a".repeat(255)), &"a".repeat(255)));
    assert!(!matches(&"?*".repeat(256), &"é".repeat(255)));
    let many = filter(&[], &vec![&["*", "*a*a*a*a*a*a*b"][..]; MAX_PATTERNS]);
    assert!(keeps(&many, &["x", &"a".repeat(255), "t"]));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn containers_on_the_way_are_kept_and_exclusion_reaches_down() {
    let filter = filter(&[&["SALES", "RAW_*"], &["HR"]], &[&["*", "RAW_TMP"], &["HR", "*", "X*"]]);
    for (names, expect) in [
        (&["SALES"][..], true),
        (&["SALES", "RAW_1"], true),
        (&["SALES", "RAW_1", "T"], true),
        (&["SALES", "MART"], false),
        (&["SALES", "MART", "T"], false),
        (&["SALES", "RAW_TMP"], false),
        (&["SALES", "RAW_TMP", "T"], false),
        (&["HR", "ANY", "T"], true),
        (&["HR", "ANY", "X1"], false),
        (&["HR", "ANY", "X1", "deep"], false),
        (&["OTHER"], false),
        (&[], true),
    ] {
        assert_eq!(keeps(&filter, names), expect, "{names:?}");
    }
    assert!(keeps(&Filter::default(), &["ANY"]) && Filter::default().is_empty());
}

/// The rule as one sentence, without the walk.
fn by_definition(filter: &Filter, path: &[&str]) -> bool {
    let agrees = |pattern: &&Pattern| pattern.agrees(path.iter().copied());
    let included = filter.include.is_empty() || filter.include.iter().any(|pattern| agrees(&pattern));
    included && !filter.exclude.iter().any(|pattern| pattern.0.len() <= path.len() && agrees(&pattern))
}

#[test]
fn the_walk_says_what_the_definition_says() {
    let globs = ["a", "b", "*", "?b", "a*"];
    let names = ["a", "b", "ab", "ba"];
    let mut seed = 7_usize;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut kept = 0;
    for _ in 0..20_000 {
        let mut patterns = |most: usize| -> Vec<Pattern> {
            (0..random(most + 1))
                .map(|_| pattern(&vec!["x"; 1 + random(3)].iter().map(|_| globs[random(5)]).collect::<Vec<_>>()))
                .collect()
        };
        let filter = Filter::new(patterns(3), patterns(2)).expect("filter");
        let path: Vec<&str> = (0..random(5)).map(|_| names[random(4)]).collect();
        let expect = by_definition(&filter, &path);
        kept += usize::from(expect);
        assert_eq!(keeps(&filter, &path), expect, "{filter:?} {path:?}");
        assert_eq!(filter.leaves_out(path.iter().copied()).is_none(), expect);
    }
    assert!((4_000..16_000).contains(&kept), "{kept}: both answers were tried");
}

#[test]
fn it_says_what_leaves_an_object_out() {
    let filter = filter(&[&["SALES"]], &[&["*", "TMP"], &["SALES", "T*"]]);
    let why = |path: &[&str]| filter.leaves_out(path.iter().copied()).map(|why| why.to_string());
    assert_eq!(why(&["SALES", "X"]), None);
    assert_eq!(why(&["SALES", "TMP", "t"]).as_deref(), Some("left out by the pattern *.TMP"));
    assert_eq!(why(&["HR", "X"]).as_deref(), Some("left out: no include pattern names it"));
    assert_eq!(
        Exclusion::Connector("system database".into()).to_string(),
        "left out by the connector: system database"
    );
}

#[test]
fn a_text_is_taken_apart_like_a_path_and_can_be_read_back() {
    for (text, globs) in [
        ("SALES.RAW_*", &["SALES", "RAW_*"][..]),
        ("SALES.\"a.b\".*", &["SALES", "a.b", "*"]),
        ("\"My \"\"DB\"\"\"", &["My \"DB\""]),
        ("a\\*b", &["a\\*b"]),
        ("größe.?", &["größe", "?"]),
        ("a b.c", &["a b", "c"]),
    ] {
        let parsed: Pattern = text.parse().expect(text);
        assert_eq!(parsed, pattern(globs), "{text}");
        assert_eq!(parsed.to_string().parse::<Pattern>().as_ref(), Ok(&parsed), "{parsed}");
    }
    for (text, error) in [
        ("", InvalidPattern::EmptyGlob(1)),
        ("a..b", InvalidPattern::EmptyGlob(2)),
        ("a.\"b", InvalidPattern::Syntax(2)),
        ("\"a\"b", InvalidPattern::Syntax(3)),
    ] {
        assert_eq!(text.parse::<Pattern>(), Err(error), "{text:?}");
    }
}

#[test]
fn lists_are_bounded() {
    let long = |n: usize| vec!["x".repeat(n)];
    assert_eq!(Pattern::new(vec![]), Err(InvalidPattern::Empty));
    assert_eq!(Pattern::new(vec!["*".into(); 32]), Err(InvalidPattern::TooDeep(32)));
    assert!(Pattern::new(vec!["*".into(); 31]).is_ok());
    assert_eq!(Pattern::new(long(513)), Err(InvalidPattern::LongGlob(1)));
    assert!(Pattern::new(long(512)).is_ok());
    let many = vec![pattern(&["a"]); MAX_PATTERNS + 1];
    assert_eq!(Filter::new(many.clone(), vec![]), Err(InvalidFilter::TooMany(List::Include, 501)));
    assert_eq!(Filter::new(vec![], many), Err(InvalidFilter::TooMany(List::Exclude, 501)));
    let fat = vec![Pattern::new(long(512)).expect("pattern"); 129];
    assert_eq!(Filter::new(fat, vec![]), Err(InvalidFilter::TooLarge));
}

#[test]
fn only_what_may_let_in_more_widens() {
    let (a, b) = (&["A"][..], &["B"][..]);
    for (before, after, expect) in [
        (filter(&[], &[]), filter(&[], &[]), false),
        (filter(&[], &[]), filter(&[a], &[]), false),
        (filter(&[], &[]), filter(&[], &[a]), false),
        (filter(&[a, b], &[]), filter(&[a], &[b]), false),
        (filter(&[a], &[]), filter(&[], &[]), true),
        (filter(&[a], &[]), filter(&[a, b], &[]), true),
        (filter(&[], &[a]), filter(&[], &[]), true),
        (filter(&[], &[a]), filter(&[], &[b]), true),
    ] {
        assert_eq!(after.may_widen(&before), expect, "{before:?} to {after:?}");
    }
}

#[test]
fn what_matches_everything_is_known() {
    assert!(pattern(&["*"]).is_sweeping() && pattern(&["*", "**"]).is_sweeping());
    assert!(!pattern(&["?"]).is_sweeping() && !pattern(&["*", "a"]).is_sweeping());
}
