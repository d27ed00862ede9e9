//! Lists in pages. A page's token names the item it begins behind, so that lists may change between
//! two pages and nothing is shown twice.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::Refused;

/// Items of a page when nobody says how many, and the most of one: a list of all tables fits.
const RESULTS_MAX: usize = 500;

/// What a token begins with, so that none is empty: clients take an empty one for the end.
const MARK: &str = "after:";

/// Which page is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PageRequest {
    results_max: Option<usize>,
    after: Option<String>,
}

/// A page of a list.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

impl PageRequest {
    /// Reads `maxResults` and `pageToken`.
    pub(super) fn new(results_max: Option<&str>, token: Option<&str>) -> Result<Self, Refused> {
        let results_max =
            match results_max {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| {
                    Refused::request("`maxResults` must be a whole number, 0 or more")
                })?),
            };
        let after = match token.filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => Some(decoded(token).ok_or_else(|| {
                Refused::request("`pageToken` is none of ours; begin without one")
            })?),
        };
        Ok(Self { results_max, after })
    }

    /// Cuts the page out of a list that is sorted by `key`.
    pub(super) fn of<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let is_left = |item: &T| self.after.as_ref().is_none_or(|after| *after < key(item));
        let mut items: Vec<T> = items.into_iter().filter(is_left).collect();
        let limit = self.results_max.unwrap_or(RESULTS_MAX).min(RESULTS_MAX);
        if items.len() <= limit {
            return Page { items, next_page_token: None };
        }
        items.truncate(limit);
        let last = items.last().map(&key).or_else(|| self.after.clone()).unwrap_or_default();
        let token = URL_SAFE_NO_PAD.encode(format!("{MARK}{last}"));
        Page { items, next_page_token: Some(token) }
    }
}

fn decoded(token: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix(MARK).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_show_everything_once() {
        let names = ["a", "b", "c", "d", "e"];
        for size in 1..=6 {
            let (mut seen, mut token) = (Vec::new(), None::<String>);
            for _ in 0..names.len() {
                let request = PageRequest::new(Some(&size.to_string()), token.as_deref()).unwrap();
                let page = request.of(names.to_vec(), |name| (*name).to_owned());
                assert!(page.items.len() <= size);
                seen.extend(page.items);
                token = page.next_page_token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(seen, names, "pages of {size}");
            assert_eq!(token, None, "pages of {size}");
        }
    }

    #[test]
    fn a_page_of_nothing_leads_on() {
        let page = PageRequest::new(Some("0"), None).unwrap().of(vec!["a"], |_| "a".to_owned());
        assert!(page.items.is_empty());
        let token = page.next_page_token.unwrap();
        let page = PageRequest::new(None, Some(&token)).unwrap().of(vec!["a"], |_| "a".to_owned());
        assert_eq!(page, Page { items: vec!["a"], next_page_token: None });
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for (results_max, token) in
            [(Some("-1"), None), (Some("many"), None), (None, Some("?")), (None, Some("YWFh"))]
        {
            assert!(PageRequest::new(results_max, token).is_err(), "{results_max:?} {token:?}");
        }
        assert_eq!(PageRequest::new(None, Some("")).unwrap(), PageRequest::default());
    }
}
