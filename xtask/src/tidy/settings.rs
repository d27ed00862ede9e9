//! Every key of `config/default.toml` is explained above or beside it.

use super::{Breach, repository::Repository};

const PATH: &str = "config/default.toml";

/// Checks the embedded default settings.
pub(super) fn check(repository: &Repository) -> Vec<Breach> {
    match repository.text(PATH) {
        Some(text) => unexplained(text),
        None => vec![Breach::new(PATH, 0, "is missing", "every default stands there")],
    }
}

fn unexplained(text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut before = "";
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            // Close enough: a value with `#` in it would have to be quoted.
            let is_beside = value.rsplit_once('#').is_some_and(|(_, text)| !text.contains('"'));
            if !before.starts_with('#') && !is_beside {
                let what = format!("`{}` is not explained", key.trim());
                let mend = "say above it what goes up and what goes down, and in which unit";
                breaches.push(Breach::new(PATH, index + 1, what, mend));
            }
        }
        before = line;
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::unexplained;

    #[test]
    fn a_key_needs_words() {
        assert_eq!(unexplained("# Why.\na = 1\n[b]\nc = 2 # why\n# d = 3\n"), []);
        let lines: Vec<usize> = unexplained("# Why.\na = 1\nb = 2\n\nc = \"#\"\n")
            .iter()
            .map(|found| found.line)
            .collect();
        assert_eq!(lines, [3, 5]);
    }
}
