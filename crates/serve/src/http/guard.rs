//! What every request passes: who may ask, how long it may take, and what browsers may do with
//! the answer.
//!
//! A web page that somebody has open can make the browser send requests to this server, with the
//! password that the browser knows. The host check stops a page whose host name was rebound to 127.0.0.1,
//! the absence of CORS headers stops every other page from reading answers, and refusing what pages
//! of other origins ask of the API stops them from using up its streams.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header, uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    App,
    login::{self, Known, Link},
    noted::Origin,
    query,
    reply::{Refusal, echo},
    sharing,
};

/// Longest time until an answer starts. Streams start at once and then stay open.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Nothing from elsewhere, nothing inline. The hash allows the one style element that
/// lightweight-charts adds for its attribution.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self' 'sha256-3pRED1tOXas1FXFoPb9TGCjmYe9XQsmO9OV23khV2nY='; \
     connect-src 'self'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; \
     form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

const SAFETY_HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Names under which a loopback address is reached without any configuration.
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Wraps every route and the console.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = app.clock.monotonic();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "console".to_owned(), |path| path.as_str().to_owned());
    let is_shared = sharing::is_ours(request.uri().path());
    let answered = match check(&request, &app.allowed_hosts) {
        Err(refusal) => Err(refusal),
        Ok(()) => answer(&app, request, next).await,
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) if is_shared => refusal.into_sharing_response(),
        Err(refusal) => refusal.into_response(),
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let read = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().entry(header::ALLOW).or_insert(read);
    }
    // Delta Sharing has tokens, and says so itself.
    if response.status() == StatusCode::UNAUTHORIZED && !is_shared {
        let challenge = HeaderValue::from_static(login::CHALLENGE);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    for (name, value) in SAFETY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // What the console's files do not say otherwise is an answer of this moment.
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    let took = app.clock.monotonic().saturating_sub(started);
    app.meter.record(&route, &method, response.status(), took);
    response
}

/// Finds out who asks, and lets the route answer in time.
async fn answer(app: &App, mut request: Request, next: Next) -> Result<Response, Refusal> {
    let path = request.uri().path();
    // A statement has its own limit, which is longer.
    let has_own_limit = query::is_ours(path);
    let mut limit = REQUEST_TIMEOUT;
    if !login::is_exempt(path) {
        let link = request.extensions().get::<Link>().copied().unwrap_or(Link::UNKNOWN);
        let origin = Origin::new(link, request.headers());
        let visitor = tokio::select! {
            biased;
            visitor = app.logins.admit(request.headers(), origin, &app.notes) => visitor?,
            () = app.clock.sleep(REQUEST_TIMEOUT) => return Err(timed_out(REQUEST_TIMEOUT)),
        };
        limit = limit.min(visitor.role.statement_timeout);
        if let Some(Known(known)) = request.extensions().get() {
            known.cancel();
        }
        request.extensions_mut().insert(visitor);
    }
    tokio::select! {
        biased;
        response = next.run(request) => Ok(response),
        () = app.clock.sleep(limit), if !has_own_limit => Err(timed_out(limit)),
    }
}

pub(super) fn timed_out(limit: Duration) -> Refusal {
    let message = format!("no answer within {limit:?}; ask for less, such as a shorter range");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
}

fn check(request: &Request, allowed_hosts: &[String]) -> Result<(), Refusal> {
    check_host(request, allowed_hosts)?;
    let path = request.uri().path();
    if query::is_ours(path) && request.version() < Version::HTTP_11 {
        let message = "over HTTP/1.0 a cut answer looks whole; ask with 1.1 (nginx: \
                       proxy_http_version 1.1)";
        return Err(Refusal::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "http_version_not_supported",
            message,
        ));
    }
    let is_shared = sharing::is_ours(path);
    let may_post = match *request.method() {
        // What comes with a token of its own cannot be sent by a page that does not have it; a page
        // elsewhere cannot send JSON.
        Method::POST => is_shared || query::may_post(path),
        _ => false,
    };
    let is_read = match *request.method() {
        Method::GET | Method::HEAD => true,
        Method::DELETE => query::may_delete(path),
        _ => false,
    };
    if !may_post && !is_read {
        let message = format!("`{}` is not served; allowed: GET, HEAD", echo_method(request));
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message));
    }
    if !may_post && has_body(request.headers()) {
        let message = "a request here has no body; parameters go into the address";
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_not_allowed", message));
    }
    let is_page = !path.starts_with("/api/") && path != "/metrics" && !is_shared;
    if !is_page && is_foreign(request.headers()) {
        let message = "a page of another site may not use this API";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "cross_site", message));
    }
    Ok(())
}

fn check_host(request: &Request, allowed_hosts: &[String]) -> Result<(), Refusal> {
    let mut given = request.headers().get_all(header::HOST).iter();
    let host = given.next().and_then(|value| value.to_str().ok());
    let (Some(host), None) = (host, given.next()) else {
        let message = "a request needs exactly one `Host` header";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_host", message));
    };
    // A request line may name a host as well.
    let target = request.uri().authority().map(Authority::as_str);
    for host in [Some(host), target].into_iter().flatten() {
        if !is_allowed_host(host, allowed_hosts) {
            let message = format!(
                "`Host` is `{}`; allowed: 127.0.0.1, localhost, [::1] and the names in \
                 `http.allowed_hosts`",
                echo(host)
            );
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed", message));
        }
    }
    Ok(())
}

/// Whether `host`, with or without a port, is a name this server answers to.
fn is_allowed_host(host: &str, allowed_hosts: &[String]) -> bool {
    // The colons within the brackets of an IPv6 address are no port's.
    let name_end = host.find(']').map_or(0, |bracket| bracket + 1);
    let port_start = host[name_end..].find(':').map_or(host.len(), |colon| name_end + colon);
    let (name, port) = host.split_at(port_start);
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    is_port
        && LOOPBACK_HOSTS
            .into_iter()
            .chain(allowed_hosts.iter().map(String::as_str))
            .any(|allowed| allowed.eq_ignore_ascii_case(name))
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0")
}

/// Whether a page of another origin made the browser ask. A page at another port of this machine is of
/// the same site, and a stranger all the same.
fn is_foreign(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    // Browsers from before 2023, and all of them without TLS, say no more than this.
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match (authority, text(header::HOST)) {
        (Some((_, authority)), Some(host)) => !authority.eq_ignore_ascii_case(host),
        _ => true,
    }
}

fn echo_method(request: &Request) -> String {
    echo(request.method().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_allowed(host: &str, expected: bool) {
        let configured = ["lake.example".to_owned()];
        assert_eq!(is_allowed_host(host, &configured), expected, "{host:?}");
    }

    #[test]
    fn loopback_and_configured_names_are_allowed_with_any_port() {
        for host in ["127.0.0.1", "127.0.0.1:8080", "localhost", "LocalHost:1", "[::1]:8080"] {
            check_allowed(host, true);
        }
        check_allowed("lake.example", true);
        check_allowed("Lake.Example:443", true);
    }

    #[test]
    fn only_our_own_pages_and_programs_ask_statements() {
        let foreign = |fields: &[(&'static str, &'static str)]| {
            let fields = fields.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            let mut headers: HeaderMap = fields.collect();
            headers.insert(header::HOST, HeaderValue::from_static("localhost:8080"));
            is_foreign(&headers)
        };
        assert!(!foreign(&[]), "a program");
        assert!(!foreign(&[("sec-fetch-site", "none")]), "typed by hand");
        let ours = ("origin", "http://localhost:8080");
        assert!(!foreign(&[("sec-fetch-site", "same-origin"), ours]));
        assert!(!foreign(&[("origin", "https://localhost:8080")]), "TLS ends at a proxy");
        assert!(foreign(&[("sec-fetch-site", "cross-site")]));
        assert!(foreign(&[("sec-fetch-site", "same-site"), ours]));
        assert!(foreign(&[("origin", "http://localhost:3000")]));
        assert!(foreign(&[("origin", "null")]));
    }

    #[test]
    fn names_that_could_be_rebound_are_not() {
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil@127.0.0.1",
            "127.0.0.1:80@evil.example",
            "127.0.0.1:x",
            "[::1",
            "]",
            ":",
            ":80",
            "127.0.0.2",
            "0.0.0.0:8080",
            "[::1].evil.example",
            "::1",
            "localhost/",
            "127.0.0.1 evil",
        ] {
            check_allowed(host, false);
        }
    }
}
