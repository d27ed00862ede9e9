//! Envelopes, keys, plans and limits.

use chrono::TimeDelta;
use serde_json::{Value, json};
use simulator::{Quirk, Quirks, Semantics};

use crate::harness::{Server, config};

const MARKET: &str = "generated:6x2@2019-02-11#7";

#[track_caller]
fn check_error(answer: &crate::harness::Answer, status: u16, code: &str) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &body["error"]["code"]), (status, &json!(code)), "{}", answer.body);
}

#[tokio::test]
async fn rows_come_in_the_envelopes_of_each_endpoint() {
    let server = Server::start(config(MARKET)).await;
    server.clock.advance(TimeDelta::days(3));
    for path in [
        "/v1/intraday?symbols=AAAA&interval=1min&limit=3",
        "/v2/intraday?symbols=AAAA&limit=3",
        "/v2/intraday/2019-02-11?symbols=AAAA&limit=3",
        "/v1/eod?symbols=AAAA,AAAB&limit=3",
        "/v2/eod/latest?symbols=AAAA,AAAB,AAAC&limit=3",
        "/v1/tickers?limit=3",
        "/v2/tickerslist?limit=3",
        "/v1/exchanges?limit=3",
    ] {
        let page = server.json(&format!("{path}&access_key=sim-pro")).await;
        let count = page["data"].as_array().unwrap().len();
        assert_eq!(count, 3, "{path}");
        assert_eq!(page["pagination"]["count"], json!(count), "{path}");
        assert_eq!(page["pagination"]["limit"], json!(3), "{path}");
        assert!(page["pagination"]["total"].as_u64().unwrap() >= 3, "{path}");
    }
    let ticker = server.json("/v2/tickers/AAAA?access_key=sim-free").await;
    assert_eq!(ticker["symbol"], "AAAA", "one ticker has no envelope");
    let eod = server.json("/v2/eod?symbols=AAAA&access_key=sim-free").await;
    assert_eq!(eod["data"][0]["date"], "2019-02-12T00:00:00+0000", "newest first");
    server.stop().await;
}

#[tokio::test]
async fn refusals_have_the_status_and_code_of_the_vendor() {
    let server = Server::start(config(MARKET)).await;
    for (path, status, code) in [
        ("/v2/eod?symbols=AAAA", 401, "missing_access_key"),
        ("/v2/eod?symbols=AAAA&access_key=no", 401, "invalid_access_key"),
        ("/v2/intraday?symbols=AAAA&access_key=sim-free", 403, "function_access_restricted"),
        (
            "/v2/intraday?symbols=AAAA&interval=10min&access_key=sim-basic",
            403,
            "function_access_restricted",
        ),
        ("/v2/nothing?access_key=sim-pro", 404, "invalid_api_function"),
        ("/v2/tickers/NOPE?access_key=sim-pro", 404, "404_not_found"),
        ("/v2/eod?symbol=AAAA&access_key=sim-pro", 422, "validation_error"),
        ("/v2/eod?symbols=AAAA&limit=5000&access_key=sim-pro", 422, "validation_error"),
        ("/v2/eod?symbols=NOPE,NADA&access_key=sim-pro", 422, "no_valid_symbols_provided"),
    ] {
        check_error(&server.get(path).await, status, code);
    }
    let fine = server.get("/v2/intraday?symbols=AAAA&interval=15min&access_key=sim-basic").await;
    assert_eq!(fine.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn the_gateway_answers_authentication_with_numbers() {
    let mut config = config(MARKET);
    config.quirks = Quirks::NONE.with(Quirk::GatewayErrors);
    let server = Server::start(config).await;
    let body = server.json("/v1/eod?symbols=AAAA").await;
    assert_eq!((&body["success"], &body["error"]["code"]), (&json!(false), &json!(101)));
    server.stop().await;
}

#[tokio::test]
async fn requests_are_limited_per_second_and_per_month() {
    let mut config = config(MARKET);
    config.requests_per_second = 5.try_into().unwrap();
    config.quota_monthly = Some(8);
    let server = Server::start(config).await;
    let path = "/v2/eod?symbols=AAAA,NOPE&access_key=sim-pro";
    for _ in 0..4 {
        assert_eq!(server.get(path).await.status, 200);
    }
    check_error(&server.get(path).await, 429, "too_many_requests");
    let limited = server.get(path).await;
    check_error(&limited, 429, "rate_limit_reached");
    assert!(limited.headers.contains("retry-after: 1"));
    let state = server.get("/__sim/state").await.body;
    let parsed: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(parsed["quota"]["professional"], json!({ "used": 8, "limit": 8 }));
    assert_eq!(parsed["ts_market"], "2019-02-11T14:30:00.000Z");
    assert_eq!(parsed["requests"]["status_429"], json!(2));
    assert!(!state.contains("sim-pro"), "no access key in {state}");
    server.stop().await;
}

#[tokio::test]
async fn market_time_decides_what_is_there() {
    let mut config = config(MARKET);
    config.quirks = Quirks::NONE;
    config.semantics = Semantics::Bar;
    let server = Server::start(config).await;
    let path = "/v2/intraday?symbols=AAAA&interval=5min&sort=ASC&access_key=sim-pro";
    assert_eq!(server.json(path).await["pagination"]["total"], json!(0));
    server.clock.advance(TimeDelta::minutes(10));
    let page = server.json(path).await;
    assert_eq!(page["pagination"]["total"], json!(2));
    assert_eq!(page["data"][1]["date"], "2019-02-11T14:35:00+0000");
    assert_eq!(page["data"][1]["exchange"], "IEXG");
    server.stop().await;
}
