//! Faults over the wire: every kind is seen, and asking again succeeds.

use chrono::TimeDelta;
use serde_json::Value;
use simulator::{ApiVersion, FaultKind, FaultPlan, Quirk};

use crate::harness::{Server, config};

const PATH: &str =
    "/v2/intraday?symbols=AAAA,AAAB&interval=1min&sort=ASC&limit=1000&access_key=sim-pro";

/// What a client can tell of an answer.
async fn classify(server: &Server) -> &'static str {
    let Some(answer) = server.try_get(PATH).await else { return "broken" };
    match (answer.status, serde_json::from_str::<Value>(&answer.body)) {
        (200, Ok(body)) if body.get("error").is_some() => "error-in-ok",
        (200, Ok(body)) => {
            let count = body["data"].as_array().map(Vec::len);
            let told = body["pagination"]["count"].as_u64();
            if count.map(|count| count as u64) == told { "good" } else { "wrong-count" }
        }
        (200, Err(_)) if answer.body.is_empty() => "empty",
        (200, Err(_)) => "html",
        (429, _) if answer.headers.contains("retry-after") => "rate-limit with a time",
        (429, _) => "rate-limit",
        (406, _) => "unavailable",
        (500, _) => "internal",
        (status, _) => panic!("{status}: {}", answer.body),
    }
}

#[tokio::test]
async fn every_kind_of_fault_reaches_the_client_and_passes() {
    let seed = 20_190_211;
    println!("seed {seed}");
    let mut config = config("generated:6x1@2019-02-11#7");
    config.faults = Some(FaultPlan::new(seed, 0.5));
    let server = Server::start(config).await;
    server.clock.advance(TimeDelta::hours(2));
    let mut seen: Vec<&str> = Vec::new();
    for _ in 0..200 {
        seen.push(classify(&server).await);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(
        seen,
        [
            "broken",
            "empty",
            "error-in-ok",
            "good",
            "html",
            "internal",
            "rate-limit",
            "rate-limit with a time",
            "unavailable",
            "wrong-count",
        ]
    );
    let state = server.json("/__sim/state").await;
    let counted = state["faults"].as_object().unwrap();
    // A list that is asked for oldest first, in one page, does not shift.
    let expected = FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::PageDrift);
    for kind in expected {
        assert!(counted.contains_key(kind.as_str()), "{kind:?} is not counted: {counted:?}");
    }
    assert!(!counted.contains_key("page-drift"), "{counted:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_truncated_answer_sends_some_bytes_and_a_closed_one_none() {
    for (kind, sends) in [(FaultKind::Truncated, true), (FaultKind::Closed, false)] {
        let mut config = config("generated:6x1@2019-02-11#7");
        config.faults = Some(FaultPlan { kinds: vec![kind], ..FaultPlan::new(1, 1.0) });
        let server = Server::start(config).await;
        server.clock.advance(TimeDelta::hours(2));
        let bytes = server.raw(PATH).await;
        assert_eq!(!bytes.is_empty(), sends, "{kind:?}");
        assert!(server.try_get(PATH).await.is_none(), "{kind:?} is never whole");
        server.stop().await;
    }
}

#[tokio::test]
async fn poison_is_in_the_truth_exactly_as_it_was_served() {
    let mut config = config("generated:6x1@2019-02-11#7");
    let kinds = vec![FaultKind::Poison, FaultKind::Restated];
    config.faults = Some(FaultPlan { kinds, ..FaultPlan::new(3, 0.5) });
    let server = Server::start(config).await;
    server.clock.advance(TimeDelta::minutes(60));
    let poison = server.truth("poison").await;
    assert!(10 < poison.len(), "{} poison rows in an hour of six symbols", poison.len());
    let page = server.json(PATH).await;
    let rows = page["data"].as_array().unwrap();
    let asked = |line: &&Value| line["symbol"] == "AAAA" || line["symbol"] == "AAAB";
    for line in poison.iter().filter(asked) {
        assert!(rows.contains(&line["row"]), "{line}");
    }
    server.clock.advance(TimeDelta::minutes(60));
    let later = server.truth("poison").await;
    assert!(poison.iter().all(|line| later.contains(line)), "a poison row never changes");
    server.stop().await;
}

#[tokio::test]
async fn rows_without_price_are_served_by_v1_and_are_in_the_truth() {
    let mut config = config("generated:1x1@2019-02-11#7");
    config.quirks = config.quirks.with(Quirk::KindB);
    config.truth_version = ApiVersion::V1;
    let server = Server::start(config).await;
    server.clock.advance(TimeDelta::days(1));
    let path = "/v1/intraday?symbols=AAAA&interval=1min&limit=1000&access_key=sim-pro";
    let page = server.json(path).await;
    let rows = page["data"].as_array().unwrap();
    let without_price: Vec<&Value> = rows.iter().filter(|row| row["last"].is_null()).collect();
    let rejected = server.truth("poison").await;
    assert!(rejected.iter().all(|line| line["reason"] == "no_price"));
    assert_eq!(rejected.len(), without_price.len());
    // Of 390 minutes the first 90 would still fall into the session, five hours later.
    assert!((250..=300).contains(&rejected.len()), "{} rows", rejected.len());
    assert!(without_price.iter().all(|row| rejected.iter().any(|line| line["row"] == **row)));
    server.stop().await;
}
