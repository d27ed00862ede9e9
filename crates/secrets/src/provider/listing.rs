//! The keys of a service, page by page, within bounds.

use std::collections::BTreeSet;

use crate::SecretName;

/// Most keys that one listing returns, ten times the limit of a Databricks secret scope.
const KEYS_MAX: usize = 10_000;

/// Most pages of a listing: those of Key Vault have 25 keys, the fewest of all services. A service
/// that goes on sending empty pages is stopped here.
const PAGES_MAX: usize = KEYS_MAX / 25;

/// A listing on its way.
#[derive(Debug, Default)]
pub(super) struct Listing {
    keys: BTreeSet<String>,
    pages: usize,
    is_cut: bool,
}

impl Listing {
    /// Takes the names of a page; returns whether the next one is to be asked for.
    ///
    /// Names that are no keys are left out: nobody can refer to them.
    pub(super) fn take(&mut self, names: impl IntoIterator<Item = String>, has_next: bool) -> bool {
        self.pages += 1;
        for name in names {
            if name.parse::<SecretName>().is_err() || self.keys.contains(&name) {
                continue;
            }
            if KEYS_MAX <= self.keys.len() {
                self.is_cut = true;
                return false;
            }
            self.keys.insert(name);
        }
        self.is_cut = has_next && PAGES_MAX <= self.pages;
        has_next && !self.is_cut
    }

    /// Returns the keys, sorted; says in the log when there are more.
    pub(super) fn finish(self, scope: &SecretName) -> Vec<String> {
        if self.is_cut {
            tracing::warn!(
                scope = %scope,
                keys = self.keys.len(),
                pages = self.pages,
                "a listing was cut; the scope has more keys, and each can be read all the same"
            );
        }
        self.keys.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEYS_MAX, Listing, PAGES_MAX};
    use crate::provider::double::log::Log;

    fn listed(pages: impl IntoIterator<Item = Vec<String>>) -> (Vec<String>, String) {
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.clone());
        let mut pages = pages.into_iter().peekable();
        let mut listing = Listing::default();
        while let Some(page) = pages.next()
            && listing.take(page, pages.peek().is_some())
        {}
        let keys = listing.finish(&"remote".parse().unwrap());
        drop(guard);
        (keys, log.text())
    }

    #[test]
    fn keys_come_sorted_once_and_what_is_no_key_does_not_come() {
        let page = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (keys, log) = listed([page(&["b", "a/c"]), page(&[]), page(&["a", "b", ""])]);
        assert_eq!(keys, ["a", "b"]);
        assert_eq!(log, "");
    }

    #[test]
    fn a_listing_without_an_end_is_cut_and_says_so() {
        let empty = std::iter::repeat_with(Vec::new).take(PAGES_MAX + 1);
        let (keys, log) = listed(empty);
        assert!(keys.is_empty() && log.contains("a listing was cut"), "{log}");

        let many = (0..=KEYS_MAX).map(|number| vec![format!("key-{number}"); 30]);
        let (keys, log) = listed([many.flatten().collect()]);
        assert_eq!(keys.len(), KEYS_MAX);
        assert!(log.contains("a listing was cut"), "{log}");
    }

    #[test]
    fn a_listing_that_just_fits_is_whole() {
        let pages =
            (0..PAGES_MAX).map(|page| (0..25).map(|key| format!("k{page}-{key}")).collect());
        let (keys, log) = listed(pages);
        assert_eq!((keys.len(), log.as_str()), (KEYS_MAX, ""));
    }
}
