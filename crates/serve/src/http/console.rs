//! The console's files, embedded when the crate was built.

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::reply::{Refusal, echo};

mod files {
    include!(concat!(env!("OUT_DIR"), "/console.rs"));
}

const INDEX: &str = "index.html";

/// Vite puts a hash of the content into every name below this folder.
const HASHED: &str = "assets/";
const CACHE_FOREVER: &str = "public, max-age=31536000, immutable";
const CACHE_CHECKED: &str = "no-cache";

/// The files' entity tags, in the order of the files.
static TAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| files::FILES.iter().map(|(_, content)| tag(content)).collect());

/// The twins that the build puts beside a file, the smallest first: their ending, and what browsers
/// call it.
const ENCODINGS: [(&str, &str); 2] = [(".br", "br"), (".gz", "gzip")];

/// Answers what no route of the API answers: a file, or the page that finds its own way by path.
pub(super) async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let is_api = path == "api" || path.starts_with("api/");
    let is_twin = plain(path) != path;
    let is_page = !path.rsplit('/').next().unwrap_or_default().contains('.');
    let found = find(path).or_else(|| find(INDEX).filter(|_| is_page));
    match found {
        Some(found) if !is_api && !is_twin => found.smallest(&headers).respond(&headers),
        _ => {
            let message = format!("there is nothing at `{}`", echo(uri.path()));
            Refusal::new(StatusCode::NOT_FOUND, "not_found", message).into_response()
        }
    }
}

/// One embedded file.
struct File {
    name: &'static str,
    content: &'static [u8],
    tag: &'static str,
    encoding: Option<&'static str>,
}

fn find(path: &str) -> Option<File> {
    let index = files::FILES.binary_search_by_key(&path, |(name, _)| name).ok()?;
    let (name, content) = files::FILES.get(index)?;
    let encoding =
        ENCODINGS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, encoding)| *encoding);
    Some(File { name, content, tag: TAGS.get(index)?, encoding })
}

/// The name of the file that a twin is of; other names as they are.
fn plain(name: &str) -> &str {
    ENCODINGS.iter().find_map(|(end, _)| name.strip_suffix(end)).unwrap_or(name)
}

/// Whether the client takes an encoding; one with the weight 0 is refused.
fn accepts(request: &HeaderMap, encoding: &str) -> bool {
    let given = request.get_all(header::ACCEPT_ENCODING).iter();
    given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|wish| {
        let (name, weight) = wish.split_once(';').unwrap_or((wish, ""));
        let weight = weight.trim().trim_start_matches("q=").trim_end_matches(['0', '.']);
        let is_refused = wish.contains("q=") && weight.is_empty();
        name.trim().eq_ignore_ascii_case(encoding) && !is_refused
    })
}

impl File {
    /// Returns the smallest form of the file that the client takes.
    fn smallest(self, request: &HeaderMap) -> Self {
        let mut twins = ENCODINGS.iter().filter(|(_, encoding)| accepts(request, encoding));
        twins.find_map(|(end, _)| find(&format!("{}{end}", self.name))).unwrap_or(self)
    }

    fn respond(&self, request: &HeaderMap) -> Response {
        let is_known = request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|known| known.trim().trim_start_matches("W/") == self.tag);
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Body::from(Bytes::from_static(self.content)).into_response()
        };
        let cache = if self.name.starts_with(HASHED) { CACHE_FOREVER } else { CACHE_CHECKED };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(self.name)));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(encoding) = self.encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        if let Ok(tag) = HeaderValue::from_str(self.tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

fn tag(content: &[u8]) -> String {
    let mut tag = "\"".to_owned();
    // 128 bits tell any two files apart.
    for byte in Sha256::digest(content).iter().take(16) {
        tag.push_str(&format!("{byte:02x}"));
    }
    tag.push('"');
    tag
}

fn content_type(name: &str) -> &'static str {
    match plain(name).rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::*;
    use crate::http::guard::CONTENT_SECURITY_POLICY;

    #[test]
    fn files_are_sorted_and_the_page_is_there() {
        assert!(files::FILES.is_sorted_by_key(|(name, _)| *name));
        assert!(find(INDEX).is_some());
        assert!(find("../Cargo.toml").is_none());
    }

    /// Empty until the console is built; `scripts/test` builds it first.
    #[test]
    fn the_one_style_element_of_the_console_is_allowed_by_its_hash() {
        for (name, content) in files::FILES {
            let text = String::from_utf8_lossy(content);
            for (start, _) in text.match_indices("a#tv-attr-logo{") {
                let style = text[start..].split(['"', '`', '\'']).next().unwrap();
                let hash = BASE64_STANDARD.encode(Sha256::digest(style));
                let allowed = format!("'sha256-{hash}'");
                assert!(CONTENT_SECURITY_POLICY.contains(&allowed), "{name} needs {allowed}");
            }
        }
    }

    #[test]
    fn a_client_is_sent_what_it_takes() {
        let accept = |text: &'static str| {
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))])
        };
        for text in ["br", "gzip, deflate, br", "BR;q=0.5", "gzip;q=1.0,br"] {
            assert!(accepts(&accept(text), "br"), "{text}");
        }
        for text in ["", "gzip", "br;q=0", "br;q=0.0", "brotli"] {
            assert!(!accepts(&accept(text), "br"), "{text}");
        }
        assert_eq!(plain("assets/a.js.br"), "assets/a.js");
        // A twin is never larger, and says what it is. None until the console is built.
        for (name, content) in files::FILES.iter().filter(|(name, _)| plain(name) == *name) {
            let small = find(name).unwrap().smallest(&accept("gzip, br"));
            assert!(small.content.len() <= content.len(), "{name}");
            assert_eq!(small.encoding.is_some(), small.name != *name, "{name}");
            assert!(find(name).unwrap().smallest(&accept("identity")).encoding.is_none(), "{name}");
        }
    }

    #[test]
    fn every_embedded_file_has_a_known_type() {
        for (name, _) in files::FILES {
            assert_ne!(content_type(name), "application/octet-stream", "{name}");
        }
    }
}
