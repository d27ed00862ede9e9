//! Guesses which known name a misspelt one was meant to be.

/// Returns the known name that is at most three edits, and less than half its length, away.
pub(super) fn nearest<'names>(text: &str, known: &[&'names str]) -> Option<&'names str> {
    known
        .iter()
        .map(|name| (distance(text, name), *name))
        .filter(|(distance, name)| *distance <= 3 && distance * 2 < name.len())
        .min()
        .map(|(_, name)| name)
}

/// Returns how many characters must be added, removed or replaced.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, character) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["vault_url", "credential", "prefix"];
        assert_eq!(nearest("vault_uri", &known), Some("vault_url"));
        assert_eq!(nearest("credentials", &known), Some("credential"));
        assert_eq!(nearest("dir", &known), None);
        assert_eq!(nearest("", &known), None);
    }
}
