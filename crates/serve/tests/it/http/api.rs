//! What each route answers, and what it refuses.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    client::get,
    fixture::{FakeFeed, Server, batch, lake_tables, texts},
};

async fn bars(server: &Server, query: &str) -> Vec<(String, String)> {
    let reply = get(server.addr, &format!("/api/v1/bars?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.body);
    let text = |bar: &Value, field: &str| bar[field].as_str().unwrap().to_owned();
    let json = reply.json();
    let bars = json["bars"].as_array().unwrap();
    bars.iter().map(|bar| (text(bar, "ts_start"), text(bar, "close"))).collect()
}

fn starts(bars: &[(String, String)]) -> Vec<&str> {
    bars.iter().map(|(start, _)| start.as_str()).collect()
}

#[tokio::test]
async fn health_says_ok_and_the_release() {
    let server = Server::start().await;
    let reply = get(server.addr, "/api/v1/health").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json(), json!({"status": "ok", "release": env!("CARGO_PKG_VERSION")}));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    server.stop().await;
}

#[tokio::test]
async fn status_is_the_pipelines_own_report() {
    let server = Server::start().await;
    let status = get(server.addr, "/api/v1/status").await.json();
    assert_eq!(status["ts"], "2026-01-06T21:00:00Z");
    assert_eq!(status["stages"][0]["state"], "idle");
    assert_eq!(status["stages"][0]["freshness_ms"], 500);
    assert_eq!(status["tables"][0]["version"], 7);
}

#[tokio::test]
async fn symbols_carry_the_change_since_the_previous_close() {
    let server = Server::start().await;
    let symbols = get(server.addr, "/api/v1/symbols").await.json();
    let expected = json!({"symbols": [
        {
            "symbol": "AAPL", "mic": "XNAS", "name": "Apple <Inc>", "price": "102.000001",
            "change": "2.000001", "change_percent": "2", "volume": "1207.5",
            "ts_quote": "2026-01-06T14:33:00Z",
        },
        {
            "symbol": "MSFT", "mic": "XNAS", "name": null, "price": "400",
            "change": "-10", "change_percent": "-2.439", "volume": "12345",
            "ts_quote": "2026-01-06T14:31:00Z",
        },
        {
            "symbol": "NEW", "mic": "XNAS", "name": null, "price": "5",
            "change": null, "change_percent": null, "volume": null,
            "ts_quote": "2026-01-06T14:30:00.250Z",
        },
    ]});
    assert_eq!(symbols, expected);
}

#[tokio::test]
async fn quotes_are_the_newest_readings_of_the_symbols_asked_for() {
    let server = Server::start().await;
    let quotes = get(server.addr, "/api/v1/quotes?symbols=AAPL,UNKNOWN").await.json();
    let expected = json!({"quotes": [{
        "symbol": "AAPL", "mic": "XNAS", "price": "102.000001", "open": "101", "high": "103",
        "low": "100.9", "previous_close": "100", "volume": "1207.5",
        "ts_quote": "2026-01-06T14:33:00Z", "session_date": "2026-01-06",
    }]});
    assert_eq!(quotes, expected);
    let all = get(server.addr, "/api/v1/quotes").await.json();
    assert_eq!(all["quotes"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn bars_are_exact_and_oldest_first() {
    let server = Server::start().await;
    let reply = get(server.addr, "/api/v1/bars?symbol=AAPL&interval=1m&from=2026-01-06").await;
    let json = reply.json();
    assert_eq!((&json["symbol"], &json["interval"]), (&json!("AAPL"), &json!("1m")));
    let expected = json!([
        {
            "ts_start": "2026-01-06T14:30:00Z", "ts_end": "2026-01-06T14:31:00Z",
            "open": "101.5", "high": "101.5", "low": "101.5", "close": "101.5",
            "volume": "1200.5", "revision": 1,
        },
        {
            "ts_start": "2026-01-06T14:31:00Z", "ts_end": "2026-01-06T14:32:00Z",
            "open": "102", "high": "102", "low": "102", "close": "102",
            "volume": null, "revision": 1,
        },
        {
            "ts_start": "2026-01-06T14:32:00Z", "ts_end": "2026-01-06T14:33:00Z",
            "open": "102.000001", "high": "102.000001", "low": "102.000001",
            "close": "102.000001", "volume": "7", "revision": 1,
        },
    ]);
    assert_eq!(json["bars"], expected);
}

#[tokio::test]
async fn a_range_includes_its_start_and_not_its_end() {
    let server = Server::start().await;
    let range = "symbol=AAPL&interval=1m&from=2026-01-06T14:30:00Z&to=2026-01-06T09:32:00-05:00";
    let found = bars(&server, range).await;
    assert_eq!(starts(&found), ["2026-01-06T14:30:00Z", "2026-01-06T14:31:00Z"]);
}

#[tokio::test]
async fn a_limit_keeps_the_newest_bars_of_the_range() {
    let server = Server::start().await;
    let found = bars(&server, "symbol=AAPL&interval=1m&limit=2").await;
    assert_eq!(starts(&found), ["2026-01-06T14:31:00Z", "2026-01-06T14:32:00Z"]);
    let found = bars(&server, "symbol=AAPL&interval=1m&limit=1&to=2026-01-06").await;
    assert_eq!(starts(&found), ["2026-01-05T14:30:00Z"]);
}

#[tokio::test]
async fn bars_from_before_the_recent_sessions_are_found_as_well() {
    let server = Server::start().await;
    let found = bars(&server, "symbol=AAPL&interval=1m").await;
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found[0], ("2025-11-03T14:30:00Z".to_owned(), "90".to_owned()));
    let found = bars(&server, "symbol=AAPL&interval=1m&limit=5").await;
    assert_eq!(found.len(), 5, "{found:?}");
}

#[tokio::test]
async fn a_symbol_without_bars_of_an_interval_has_an_empty_list() {
    let server = Server::start().await;
    assert_eq!(bars(&server, "symbol=MSFT&interval=1d").await, []);
    assert_eq!(bars(&server, "symbol=AAPL&interval=1h").await, []);
    assert_eq!(bars(&server, "symbol=AAPL&interval=1d").await.len(), 1);
}

#[tokio::test]
async fn a_lake_without_tables_answers_with_empty_lists() {
    let server = Server::start_with(Vec::new(), Arc::new(FakeFeed::default())).await;
    let symbols = get(server.addr, "/api/v1/symbols").await;
    assert_eq!(symbols.json(), json!({"symbols": []}));
    assert_eq!(get(server.addr, "/api/v1/quotes").await.json(), json!({"quotes": []}));
    let reply = get(server.addr, "/api/v1/bars?symbol=AAPL&interval=1m").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (404, "unknown_symbol"));
}

#[tokio::test]
async fn a_refusal_names_the_parameter_what_was_given_and_what_is_allowed() {
    let server = Server::start().await;
    let good = "symbol=AAPL&interval=1m";
    for (path, parts) in [
        ("/api/v1/bars?interval=1m".to_owned(), ["`symbol`", "missing", "letters"]),
        ("/api/v1/bars?symbol=AAPL".to_owned(), ["`interval`", "missing", "1m, 5m"]),
        ("/api/v1/bars?symbol=A%27B&interval=1m".to_owned(), ["`symbol`", "`A'B`", "letters"]),
        ("/api/v1/bars?symbol=A&interval=2m".to_owned(), ["`interval`", "`2m`", "1m, 5m, 15m"]),
        (format!("/api/v1/bars?{good}&from=noon"), ["`from`", "`noon`", "RFC 3339"]),
        (format!("/api/v1/bars?{good}&to=2026-02-30"), ["`to`", "`2026-02-30`", "RFC 3339"]),
        (format!("/api/v1/bars?{good}&limit=0"), ["`limit`", "`0`", "1 to 10000"]),
        (format!("/api/v1/bars?{good}&limit=10001"), ["`limit`", "`10001`", "1 to 10000"]),
        (format!("/api/v1/bars?{good}&form=x"), ["`form`", "`x`", "from, to"]),
        (format!("/api/v1/bars?{good}&symbol=B"), ["`symbol`", "`B`", "once"]),
        (
            format!("/api/v1/bars?{good}&from=2026-01-06&to=2026-01-05"),
            ["`to`", "`2026-01-05`", "after `from`"],
        ),
        ("/api/v1/quotes?symbols=A;B".to_owned(), ["`symbols`", "`A;B`", "commas"]),
        ("/api/v1/quotes?symbols=".to_owned(), ["`symbols`", "``", "commas"]),
        ("/api/v1/symbols?x=1".to_owned(), ["`x`", "`1`", "no parameters"]),
        ("/api/v1/stream?symbols=A%20B".to_owned(), ["`symbols`", "`A B`", "commas"]),
        ("/api/v1/health?x=%FF%0A".to_owned(), ["`x`", "allowed", "no parameters"]),
    ] {
        let reply = get(server.addr, &path).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.body);
        let (code, message) = reply.error();
        assert_eq!(code, "invalid_parameter", "{path}");
        for part in parts {
            assert!(message.contains(part), "{path}: {message} lacks {part}");
        }
    }
}

#[tokio::test]
async fn an_unknown_symbol_is_not_found() {
    let server = Server::start().await;
    let reply = get(server.addr, "/api/v1/bars?symbol=NOPE&interval=1m").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (404, "unknown_symbol"));
}

#[tokio::test]
async fn a_broken_table_is_an_internal_error_that_tells_nothing_of_the_inside() {
    let mut tables = lake_tables();
    tables.retain(|(_, name, _)| *name != "quote_latest");
    tables.push(("gold", "quote_latest", batch(vec![("symbol", texts(["AAPL"]))])));
    let server = Server::start_with(tables, Arc::new(FakeFeed::default())).await;
    let reply = get(server.addr, "/api/v1/symbols").await;
    assert_eq!(reply.status, 500, "{}", reply.body);
    let (code, message) = reply.error();
    assert_eq!(code, "internal");
    assert_eq!(message, "the server could not answer; its log says why");
}

#[tokio::test]
async fn metrics_count_what_was_asked() {
    let server = Server::start().await;
    get(server.addr, "/api/v1/health").await;
    get(server.addr, "/api/v1/health?x=1").await;
    get(server.addr, "/some/page").await;
    let reply = get(server.addr, "/metrics").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"marketlake_serve_requests_total{route="/api/v1/health",method="GET",status="200"} 1"#,
        r#"marketlake_serve_requests_total{route="/api/v1/health",method="GET",status="400"} 1"#,
        r#"marketlake_serve_requests_total{route="console",method="GET",status="200"} 1"#,
        r#"marketlake_lake_table_version{table="gold.bar_1m"} 7"#,
        r#"marketlake_lake_rows_total{stage="refine"} 42"#,
        r#"marketlake_lake_freshness_seconds{stage="refine"} 0.5"#,
        "marketlake_serve_stream_connections 0",
    ] {
        assert!(reply.body.lines().any(|known| known == line), "{line} in\n{}", reply.body);
    }
}
