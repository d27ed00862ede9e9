//! The access key and the URLs that carry it, neither of which can be printed.

use std::fmt;

use model::ErrorKind;
use url::{Host, Url};

use crate::Error;

/// A vendor's access key. It has no `Display`, and `Debug` hides it.
#[derive(Clone)]
pub struct AccessKey(String);

impl AccessKey {
    /// Wraps a key.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Removes the key from a text that somebody else wrote, such as the vendor's error message.
    pub(super) fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[REDACTED]") }
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

/// Why there is no access key. The text must not hold the key.
#[derive(Debug)]
pub struct AccessKeyError {
    /// `Transient` when the secret scope is out of reach for now, else `Config`.
    pub kind: ErrorKind,
    /// What the secret scope said.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where the access key comes from. Asked before every request: how soon a rotated key is used is
/// up to the source.
pub trait AccessKeySource: Send + Sync {
    /// Returns the key as it is now.
    ///
    /// # Errors
    /// Why the secret scope has none.
    fn access_key(&self) -> Result<AccessKey, AccessKeyError>;
}

impl<F> AccessKeySource for F
where
    F: Fn() -> Result<AccessKey, AccessKeyError> + Send + Sync,
{
    fn access_key(&self) -> Result<AccessKey, AccessKeyError> {
        self()
    }
}

/// A URL with an access key in its query; shown without it.
#[derive(Clone)]
pub(super) struct SourceUrl(Url);

impl SourceUrl {
    /// Adds the key: the last step before the request, so nothing else ever holds it.
    pub(super) fn new(mut url: Url, key: &AccessKey) -> Self {
        url.query_pairs_mut().append_pair(ACCESS_KEY, &key.0);
        Self(url)
    }

    /// Gives the URL to the HTTP client, which must not print it.
    pub(super) fn into_inner(self) -> Url {
        self.0
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.0))
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({self})")
    }
}

const ACCESS_KEY: &str = "access_key";

fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != ACCESS_KEY)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    shown.set_query(None);
    if !pairs.is_empty() {
        shown.query_pairs_mut().extend_pairs(pairs);
    }
    let join = if shown.query().is_some() { '&' } else { '?' };
    format!("{shown}{join}{ACCESS_KEY}=[REDACTED]")
}

/// Checks a base URL: https, unless the host is this machine or `allow_http` says otherwise.
pub(super) fn check_base_url(text: &str, allow_http: bool) -> Result<Url, Error> {
    let refuse = |problem: &str| Error::Settings {
        setting: "source.base_url",
        // The text itself may hold a key, so it is not repeated.
        problem: problem.to_owned(),
    };
    let mut url = Url::parse(text)
        .map_err(|_| refuse("not a URL; expected such as `https://api.marketstack.com/v2`"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("must not hold a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("must end with the path; the access key has a setting of its own"));
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(refuse("names no host")),
    };
    match url.scheme() {
        "https" => (),
        "http" if is_loopback || allow_http => (),
        "http" => {
            return Err(refuse(
                "must be https, or the access key travels in clear; `source.allow_http` lifts this",
            ));
        }
        _ => return Err(refuse("must be https")),
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = AccessKey::new("cnry-0123456789abcdef&x".to_owned());
        let base = Url::parse("https://api.example.com/v2/intraday?symbols=AAPL").unwrap();
        let url = SourceUrl::new(base, &key);
        let shown = format!("{url} {url:?} {key:?}");
        assert!(!shown.contains("cnry"), "{shown}");
        assert!(shown.contains("symbols=AAPL&access_key=[REDACTED]"), "{shown}");
        assert!(url.into_inner().query().unwrap().contains("access_key=cnry-0123456789abcdef%26x"));
    }

    #[track_caller]
    fn check((text, allow_http): (&str, bool), is_accepted: bool) {
        assert_eq!(check_base_url(text, allow_http).is_ok(), is_accepted, "{text}");
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        check(("https://api.marketstack.com/v2", false), true);
        check(("http://127.0.0.1:8080/v2", false), true);
        check(("http://localhost/v1/", false), true);
        check(("http://[::1]:1/v1", false), true);
        check(("http://api.marketstack.com/v1", false), false);
        check(("http://api.marketstack.com/v1", true), true);
        check(("http://localhost.example.com/", false), false);
        check(("ftp://127.0.0.1/", true), false);
        check(("https://user:word@api.marketstack.com/", false), false);
        check(("https://api.marketstack.com/v2?access_key=x", false), false);
        check(("api.marketstack.com", false), false);
    }
}
