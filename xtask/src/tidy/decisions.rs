//! Decision records: one number each, and always the same parts.

use super::{Breach, repository::Repository};

const FOLDER: &str = "docs/adr/";

/// The parts, in order; `Status:` stands above them.
const HEADINGS: [&str; 5] = ["Context", "Decision", "Consequences", "Rejected", "Log"];

/// Checks every decision record, the template included.
pub(super) fn check(repository: &Repository) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut before = "";
    for (path, text) in repository.texts(".md").filter(|(path, _)| path.starts_with(FOLDER)) {
        let name = path.strip_prefix(FOLDER).unwrap_or(path);
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            let what = "the name has no number";
            breaches.push(Breach::new(path, 0, what, "call it `NNNN-title.md`"));
        } else if number == before {
            let what = format!("the number {number} is taken");
            breaches.push(Breach::new(path, 0, what, "take the next free one"));
        }
        before = number;
        breaches.extend(parts(path, number, text));
    }
    breaches
}

fn parts(path: &str, number: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if !text.starts_with(&format!("# {number}: ")) {
        let mend = format!("begin with `# {number}: <the decision in a few words>`");
        breaches.push(Breach::new(path, 1, "the title does not repeat the number", mend));
    }
    if !text.lines().any(|line| line.starts_with("Status: ")) {
        let mend = "write `Status: accepted, <date>` below the title";
        breaches.push(Breach::new(path, 0, "says no status", mend));
    }
    let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    if found != HEADINGS {
        let what = format!("has the headings {found:?}");
        let mend = format!("the headings are {}", HEADINGS.join(", "));
        breaches.push(Breach::new(path, 0, what, mend));
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::parts;

    const WHOLE: &str = "# 0001: a\n\nStatus: accepted, 2026-01-02\n\n## Context\n## Decision\n\
        ## Consequences\n## Rejected\n## Log\n";

    #[test]
    fn every_part_is_there() {
        assert_eq!(parts("a.md", "0001", WHOLE), []);
        for part in ["# 0001: a", "Status: ", "## Context", "## Log"] {
            assert_eq!(parts("a.md", "0001", &WHOLE.replace(part, "")).len(), 1, "{part}");
        }
    }
}
