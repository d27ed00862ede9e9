//! Who may ask, how, and what browsers are told about the answer.

use std::net::SocketAddr;

use model::ErrorKind;
use serve::http;

use super::{
    client::{get, send},
    fixture::{Server, config},
};

async fn with_host(server: SocketAddr, path: &str, host: &str) -> (u16, String) {
    let reply = send(server, &format!("GET {path} HTTP/1.1\r\n{host}")).await;
    let code = if reply.status == 200 { String::new() } else { reply.error().0 };
    (reply.status, code)
}

#[tokio::test]
async fn only_loopback_and_configured_hosts_are_answered() {
    let server = Server::start().await;
    for host in ["127.0.0.1", "localhost:1", "[::1]:8080", "LAKE.example"] {
        let (status, _) =
            with_host(server.addr, "/api/v1/health", &format!("Host: {host}\r\n")).await;
        assert_eq!(status, 200, "{host}");
    }
    // The console is guarded as well: a rebound name must not even load it.
    for path in ["/api/v1/health", "/", "/metrics", "/api/v1/stream"] {
        let refused = with_host(server.addr, path, "Host: rebound.example:8080\r\n").await;
        assert_eq!(refused, (421, "host_not_allowed".to_owned()), "{path}");
    }
    let refused = with_host(server.addr, "/", "").await;
    assert_eq!(refused, (400, "invalid_host".to_owned()));
    let two = "Host: localhost\r\nHost: rebound.example\r\n";
    assert_eq!(with_host(server.addr, "/", two).await.0, 400);
    let absolute = "http://rebound.example/api/v1/health";
    let refused = with_host(server.addr, absolute, "Host: localhost\r\n").await;
    assert_eq!(refused, (421, "host_not_allowed".to_owned()));
}

#[tokio::test]
async fn nothing_but_reading_is_served() {
    let server = Server::start().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let head = format!("{method} /api/v1/health HTTP/1.1\r\nHost: localhost\r\n");
        let reply = send(server.addr, &head).await;
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some("GET, HEAD"), "{method}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{method}");
    }
    let head = "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n";
    assert_eq!(send(server.addr, head).await.status, 413);
    let head = "HEAD /api/v1/health HTTP/1.1\r\nHost: localhost\r\n";
    let reply = send(server.addr, head).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_page_of_another_site_may_open_the_console_but_not_use_the_api() {
    let server = Server::start().await;
    let foreign = [
        "Sec-Fetch-Site: cross-site",
        // A page that another program of this machine serves.
        "Sec-Fetch-Site: same-site",
        "Origin: http://localhost:3000",
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://localhost",
    ];
    for sign in foreign {
        for (path, status) in
            [("/api/v1/health", 403), ("/api/v1/stream", 403), ("/metrics", 403), ("/", 200)]
        {
            let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{sign}\r\n");
            assert_eq!(send(server.addr, &head).await.status, status, "{path} {sign}");
        }
    }
    for sign in [
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: none",
        "Origin: http://LOCALHOST",
        // A proxy may have changed the host; the browser knows better.
        "Sec-Fetch-Site: same-origin\r\nOrigin: https://lake.example",
    ] {
        let head = format!("GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n{sign}\r\n");
        assert_eq!(send(server.addr, &head).await.status, 200, "{sign}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_safety_headers() {
    let server = Server::start().await;
    for path in ["/", "/api/v1/health", "/api/v1/nothing", "/metrics", "/api/v1/bars", "/a.js"] {
        let reply = get(server.addr, path).await;
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(reply.header("cache-control").is_some(), "{path}");
    }
}

#[tokio::test]
async fn the_console_answers_its_own_paths_and_nothing_else() {
    let server = Server::start().await;
    let index = get(server.addr, "/").await;
    assert_eq!(index.status, 200);
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(index.header("cache-control"), Some("no-cache"));
    let tag = index.header("etag").unwrap();

    let page = get(server.addr, "/pipeline/stages").await;
    assert_eq!((page.status, &page.body), (200, &index.body));

    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"x\", {tag}\r\n");
    let unchanged = send(server.addr, &head).await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));

    for path in ["/api", "/api/v1/nothing", "/api/v2/bars", "/assets/none.js", "/../Cargo.toml"] {
        let reply = get(server.addr, path).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_before_anything_reads_it() {
    let server = Server::start().await;
    let path = format!("/api/v1/quotes?symbols={}", "A".repeat(20_000));
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
    let status = send(server.addr, &head).await.status;
    assert!(matches!(status, 414 | 431), "{status}");
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    for bind in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = http::bind(&config(bind)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{bind}");
        let text = error.to_string();
        assert!(text.contains(bind) && text.contains("TLS and passwords"), "{text}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let server = Server::start().await;
    let error = http::bind(&config(&server.addr.to_string())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), format!("listening for HTTP on `{}`", server.addr));
}
