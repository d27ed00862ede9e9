//! Rules for Rust files: a purpose, a size, and nothing half finished.

use super::{
    Breach,
    lexer::{Kind, pieces},
    repository::Repository,
};

/// More than this is read with the finger on the page.
const CODE_LINES_MAX: usize = 500;

/// Files that may be longer, each with its own limit. An entry that is no longer needed is a
/// breach, so the list can only shrink.
const LONGER: [(&str, usize); 0] = [];

/// Checks every Rust file.
pub(super) fn check(repository: &Repository) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in repository.texts(".rs") {
        breaches.extend(purpose(path, text));
        breaches.extend(size(path, text, &LONGER));
        breaches.extend(unfinished(path, text));
        if path.ends_with("/mod.rs") {
            let what = "a file called `mod.rs`";
            breaches.push(Breach::new(path, 0, what, "name it after its module: `foo.rs`"));
        }
    }
    for (path, _) in LONGER.iter().filter(|(path, _)| !repository.has(path)) {
        let what = format!("`{path}` has an exception but does not exist");
        breaches.push(Breach::new("xtask/src/tidy/sources.rs", 0, what, "remove the exception"));
    }
    breaches
}

fn purpose(path: &str, text: &str) -> Option<Breach> {
    let is_stated = text.lines().next().is_some_and(|line| {
        line.strip_prefix("//!").is_some_and(|purpose| !purpose.trim().is_empty())
    });
    let what = "the first line does not say what the file is for";
    (!is_stated).then(|| Breach::new(path, 1, what, "begin with `//! <purpose>`"))
}

fn size(path: &str, text: &str, longer: &[(&str, usize)]) -> Option<Breach> {
    if is_test(path) {
        return None;
    }
    let lines = code_lines(text);
    let exception = longer.iter().find(|(name, _)| *name == path).map(|(_, max)| *max);
    match exception {
        Some(_) if lines <= CODE_LINES_MAX => {
            let what = format!("has an exception but only {lines} code lines");
            Some(Breach::new(path, 0, what, "remove it from `LONGER` in xtask"))
        }
        _ if lines <= exception.unwrap_or(CODE_LINES_MAX) => None,
        _ => {
            let max = exception.unwrap_or(CODE_LINES_MAX);
            let what = format!("{lines} code lines, {max} are the most");
            Some(Breach::new(path, 0, what, "move one idea into a file of its own"))
        }
    }
}

/// Whether the whole file is test code.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Counts the lines before the first top-level test module.
fn code_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let is_tests =
        |pair: &[&str]| pair[0].starts_with("#[cfg(test)]") && pair[1].starts_with("mod tests");
    lines.windows(2).position(is_tests).unwrap_or(lines.len())
}

fn unfinished(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for piece in pieces(text) {
        for (index, line) in piece.text.lines().enumerate() {
            let at = piece.line + index;
            match piece.kind {
                Kind::Comment => breaches.extend(note(path, at, line)),
                Kind::Code => {
                    let is_waiting = lines.get(at - 1).is_some_and(|line| line.trim() == WAITING);
                    breaches.extend(attribute(path, at, line).filter(|_| !is_waiting));
                }
                Kind::Text => (),
            }
        }
    }
    breaches
}

fn note(path: &str, at: usize, comment: &str) -> Option<Breach> {
    if has_word(comment, "FIXME") {
        return Some(Breach::new(path, at, "a `FIXME`", "mend it now, or open an issue"));
    }
    let (_, after) = comment.split_once("TODO").filter(|_| has_word(comment, "TODO"))?;
    let number = after.strip_prefix("(#").and_then(|rest| rest.split_once(')'));
    let has_issue = number.is_some_and(|(digits, _)| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let mend = "write `TODO(#<issue>): …`, or do it";
    (!has_issue).then(|| Breach::new(path, at, "a `TODO` without an issue", mend))
}

/// The one reason for a test to wait: `scripts/test` starts the services and runs these as well.
const WAITING: &str = r#"#[ignore = "needs scripts/services start"]"#;

fn attribute(path: &str, at: usize, code: &str) -> Option<Breach> {
    let code: String = code.split_whitespace().collect();
    if code.contains("#[should_panic") {
        let mend = "assert the error that is returned";
        return Some(Breach::new(path, at, "a test that expects a panic", mend));
    }
    let is_ignored =
        code.contains("#[ignore") || (code.contains("#[cfg_attr(") && code.contains(",ignore"));
    let mend = "run it, or delete it; only `needs scripts/services start` is a reason to wait";
    is_ignored.then(|| Breach::new(path, at, "a test that is not run", mend))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::{code_lines, purpose, size, unfinished};

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(purpose("a.rs", "//! Adds.\nfn a() {}"), None);
        for text in ["", "//!\n", "// Adds.\n", "\n//! Adds.\n"] {
            assert!(purpose("a.rs", text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn tests_do_not_count_as_code() {
        assert_eq!(code_lines("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert_eq!(code_lines("a\n#[cfg(test)]\nuse b;\n"), 3);
        assert_eq!(code_lines(""), 0);
    }

    #[test]
    fn exceptions_only_shrink() {
        let lines = |count: usize| "//\n".repeat(count);
        let found = |count, longer: &[(&str, usize)]| size("a.rs", &lines(count), longer).is_some();
        assert!(!found(500, &[]));
        assert!(found(501, &[]));
        assert!(!found(501, &[("a.rs", 510)]));
        assert!(found(511, &[("a.rs", 510)]));
        assert!(found(500, &[("a.rs", 510)]), "no longer needed");
        assert_eq!(size("x/tests/it/a.rs", &lines(900), &[]), None);
    }

    #[test]
    fn nothing_half_finished() {
        for text in [
            "// TODO: later",
            "// TODO(later)",
            "// TODO(#): x",
            "/* FIXME */",
            "#[should_panic]\nfn a() {}",
            "#[ignore = \"slow\"]\nfn a() {}",
            "#[cfg_attr(not(slow), ignore)]",
        ] {
            assert_eq!(unfinished("a.rs", text).len(), 1, "{text}");
        }
        for text in ["// TODO(#12): x", "\"TODO\"", "let todo = 1; // METHODOLOGY", "ignored()"] {
            assert_eq!(unfinished("a.rs", text), [], "{text}");
        }
    }
}
