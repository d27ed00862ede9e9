//! Globs against names, and against a second, slow reading of the same rules.

use proptest::prelude::*;

use super::Glob;

#[test]
fn path_glob_filter_matches_names_as_hadoop_does() {
    for (pattern, matched, not_matched) in [
        ("*.json", &["a.json", ".json", "é.json"][..], &["a.json.gz", "a/b.json", "json"][..]),
        ("?.csv", &["a.csv", "é.csv"], &["ab.csv", ".csv", "/.csv"]),
        ("[abc].x", &["a.x", "c.x"], &["d.x", ".x", "ab.x"]),
        ("[a-c0-9]*", &["b", "7up"], &["d", "", "B"]),
        ("[^a-c]*", &["d", "zz"], &["a", "", "/"]),
        ("[!a]", &["b"], &["a", ""]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[\\]]", &["]"], &["\\"]),
        ("{a,bc}.txt", &["a.txt", "bc.txt"], &["b.txt", "abc.txt", "{a,bc}.txt"]),
        ("{a,b{c,d}}e", &["ae", "bce", "bde"], &["be", "abe", "e"]),
        ("x{,y}", &["x", "xy"], &["y", "xyy"]),
        ("{*.json,*.ndjson}", &["a.json", "a.ndjson"], &["a.csv"]),
        ("\\*", &["*"], &["a", "\\*"]),
        ("a,b}", &["a,b}"], &["a"]),
        ("part-*-*.parquet", &["part-0-a.parquet", "part--.parquet"], &["part-0.parquet"]),
        ("Price*", &["Prices"], &["prices"]),
    ] {
        let glob = Glob::new(pattern).expect(pattern);
        for name in matched {
            assert!(glob.matches(name), "{pattern} matches {name}");
        }
        for name in not_matched {
            assert!(!glob.matches(name), "{pattern} does not match {name}");
        }
    }
}

#[test]
fn what_is_no_glob_says_why() {
    for (pattern, told) in [
        ("[ab", "a `[` is never closed"),
        ("[", "a `[` is never closed"),
        ("[^", "a `[` is never closed"),
        ("[]", "a class is empty"),
        ("[b-a]", "the range `b-a` runs backwards"),
        ("{a,b", "a `{` is never closed"),
        ("{a,{b}", "a `{` is never closed"),
        ("a\\", "a `\\` stands before nothing"),
        ("[\\", "a `\\` stands before nothing"),
        (&"{".repeat(17), "groups nest 16 deep at most"),
        (&"a".repeat(1025), "1024 letters at most"),
    ] {
        let problem = Glob::new(pattern).expect_err(pattern);
        assert!(problem.contains(told), "{pattern}: {problem}");
    }
}

#[test]
fn a_glob_that_would_take_others_for_ever_is_decided_at_once() {
    let glob = Glob::new(&format!("{}b", "*a".repeat(200))).expect("a glob");
    assert!(!glob.matches(&"a".repeat(2_000)));
    let nested = Glob::new(&"{a,{a,b}}".repeat(100)).expect("a glob");
    assert!(nested.matches(&"ab".repeat(50)));
}

/// A part of a glob, easy to match by trying everything.
#[derive(Clone, Debug)]
enum Part {
    Letter(char),
    Any,
    Many,
    Class(bool, Vec<char>),
    Either(Vec<Vec<Self>>),
}

impl Part {
    fn write(&self, text: &mut String) {
        match self {
            Self::Letter(letter) => {
                if "*?[]{},\\".contains(*letter) {
                    text.push('\\');
                }
                text.push(*letter);
            }
            Self::Any => text.push('?'),
            Self::Many => text.push('*'),
            Self::Class(is_negated, letters) => {
                text.push('[');
                text.extend(is_negated.then_some('^'));
                text.extend(letters);
                text.push(']');
            }
            Self::Either(alternatives) => {
                text.push('{');
                for (index, parts) in alternatives.iter().enumerate() {
                    text.extend((0 < index).then_some(','));
                    parts.iter().for_each(|part| part.write(text));
                }
                text.push('}');
            }
        }
    }
}

/// Matches by trying everything.
fn matches(parts: &[Part], name: &[char]) -> bool {
    let Some((part, rest)) = parts.split_first() else { return name.is_empty() };
    let first = name.first().copied();
    let one = |takes: bool| takes && matches(rest, &name[1..]);
    match part {
        Part::Letter(letter) => one(first == Some(*letter)),
        Part::Any => one(first.is_some_and(|letter| letter != '/')),
        Part::Class(is_negated, letters) => {
            one(first
                .is_some_and(|letter| letter != '/' && letters.contains(&letter) != *is_negated))
        }
        Part::Many => {
            matches(rest, name)
                || (first.is_some_and(|letter| letter != '/') && matches(parts, &name[1..]))
        }
        Part::Either(alternatives) => alternatives.iter().any(|alternative| {
            let whole: Vec<Part> = alternative.iter().chain(rest).cloned().collect();
            matches(&whole, name)
        }),
    }
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        3 => prop::sample::select(vec!['a', 'b', '/', '*', ',', '}', 'é']).prop_map(Part::Letter),
        1 => Just(Part::Any),
        1 => Just(Part::Many),
        1 => (any::<bool>(), prop::collection::vec(prop::sample::select(vec!['a', 'b', 'é']), 1..3))
            .prop_map(|(is_negated, letters)| Part::Class(is_negated, letters)),
    ];
    leaf.prop_recursive(2, 12, 3, |part| {
        prop::collection::vec(prop::collection::vec(part, 0..3), 1..3).prop_map(Part::Either)
    })
}

proptest! {
    #[test]
    fn a_glob_matches_what_trying_everything_matches(
        parts in prop::collection::vec(part(), 0..5),
        name in "[ab/*,}é]{0,6}",
    ) {
        let mut pattern = String::new();
        parts.iter().for_each(|part| part.write(&mut pattern));
        let glob = Glob::new(&pattern).expect("a glob");
        let letters: Vec<char> = name.chars().collect();
        prop_assert_eq!(glob.matches(&name), matches(&parts, &letters), "{} of {}", pattern, name);
    }

    #[test]
    fn no_glob_is_too_strange(pattern in "\\PC{0,16}", name in "\\PC{0,16}") {
        if let Ok(glob) = Glob::new(&pattern) {
            let _ = (glob.matches(&name), glob.covers(&name));
        }
    }

    #[test]
    fn a_plain_name_matches_itself_alone(name in "[a-z.é]{1,8}", other in "[a-z.é]{1,8}") {
        let glob = Glob::new(&name).expect("a glob");
        prop_assert!(glob.matches(&name));
        prop_assert_eq!(glob.matches(&other), name == other);
    }
}
