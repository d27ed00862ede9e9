//! One grammar for error and log texts: lowercase first letter, no period at the end.
//!
//! Found by their surroundings: the text of `#[error("…")]`, and the message of a `tracing` macro.

use super::{
    Breach,
    lexer::{Kind, Piece, pieces},
    repository::Repository,
};

const MACROS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];

/// Names that are written with a capital wherever they stand.
const NAMES: [&str; 8] =
    ["Arrow", "DataFusion", "Delta", "Kafka", "Marketstack", "Parquet", "Power", "Prometheus"];

/// Checks every Rust file.
pub(super) fn check(repository: &Repository) -> Vec<Breach> {
    repository.texts(".rs").flat_map(|(path, text)| breaches(path, text)).collect()
}

fn breaches(path: &str, source: &str) -> Vec<Breach> {
    let pieces = pieces(source);
    messages(&pieces)
        .into_iter()
        .filter_map(|piece| {
            let what = wrong(piece.text)?;
            let shown: String = piece.text.chars().take(50).collect();
            let what = format!("the message \"{shown}\" {what}");
            let mend = "begin in lower case and end without a period";
            Some(Breach::new(path, piece.line, what, mend))
        })
        .collect()
}

/// Returns the pieces that are messages.
fn messages<'a, 'b>(pieces: &'b [Piece<'a>]) -> Vec<&'b Piece<'a>> {
    let mut found = Vec::new();
    // Parentheses that are open since the macro's own; `None` outside of a macro.
    let mut depth: Option<usize> = None;
    let mut code_before = "";
    for piece in pieces {
        match piece.kind {
            Kind::Comment => (),
            Kind::Text => {
                let before = code_before.trim_end().trim_end_matches(['"', '#', 'r']).trim_end();
                let is_argument = before.ends_with('(') || before.ends_with(',');
                if before.ends_with("#[error(") || (depth == Some(1) && is_argument) {
                    found.push(piece);
                    depth = None;
                }
            }
            Kind::Code => {
                code_before = piece.text;
                depth = depth_after(piece.text, depth);
            }
        }
    }
    found
}

/// Follows the parentheses of `code`, and enters the last macro that begins in it.
fn depth_after(code: &str, depth: Option<usize>) -> Option<usize> {
    let start = MACROS.iter().filter_map(|name| Some(macro_at(code, name)? + name.len())).max();
    let (mut depth, rest) = match start {
        Some(start) => (Some(1), code.get(start..).unwrap_or_default()),
        None => (depth, code),
    };
    for letter in rest.chars() {
        depth = match letter {
            '(' | '[' | '{' => depth.map(|open| open + 1),
            ')' | ']' | '}' => depth.and_then(|open| open.checked_sub(1)).filter(|open| 0 < *open),
            _ => depth,
        };
    }
    depth
}

/// Finds the last use of the macro that is not the end of a longer name, such as `my_warn!(`.
fn macro_at(code: &str, name: &str) -> Option<usize> {
    let at = code.rfind(name)?;
    let before = code.get(..at)?.chars().next_back();
    before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_').then_some(at)
}

fn wrong(message: &str) -> Option<&'static str> {
    let word: String = message.chars().take_while(|letter| letter.is_alphanumeric()).collect();
    let mut letters = word.chars();
    let is_capital = letters.next().is_some_and(char::is_uppercase);
    // `HTTP`, `SQLite` and single letters are names too.
    let is_word = letters.next().is_some_and(char::is_lowercase);
    if is_capital && is_word && !NAMES.contains(&word.as_str()) {
        return Some("begins with a capital");
    }
    message.ends_with('.').then_some("ends with a period")
}

#[cfg(test)]
mod tests {
    use super::breaches;

    #[track_caller]
    fn check(source: &str, expected: usize) {
        let found = breaches("a.rs", source);
        assert_eq!(found.len(), expected, "{source}: {found:?}");
    }

    #[test]
    fn error_texts_are_checked() {
        check("#[error(\"reading page {page}\")] A,", 0);
        check("#[error(\"HTTP status {0}\")] A,", 0);
        check("#[error(\"Reading page {page}\")] A,", 1);
        check("#[error(\"reading page {page}.\")] A,", 1);
        check("#[error(\n    \"Reading\"\n)] A,", 1);
        check("#[error(transparent)] A, let b = \"Text.\";", 0);
    }

    #[test]
    fn log_texts_are_checked() {
        check("tracing::info!(\"Sealed an object\");", 1);
        check("tracing::info!(rows, file = %name(\"X.\"), \"sealed an object.\");", 1);
        check("tracing::info!(stage = \"Load\", \"sealed\");", 0);
        check("tracing::debug!(target: \"A.\", \"sealed\");", 0);
        check("warn!(\"sealed {}\", text(\"Not a message.\"));", 0);
        check("tracing::warn!(rows); let a = call(1, \"Not a message.\");", 0);
        check("my_warn!(\"Other\");", 0);
    }
}
