//! The audit: every login and statement once, and no value of any.

use lake::arrow::{
    array::StringArray,
    datatypes::{DataType, Field, Schema},
};
use serde_json::{Value, json};
use serve::audit::Audit;

use super::*;
use crate::postgres::audit::Kept;

/// A server, what its audit is told, and a client whose login was told already.
async fn start() -> (Server, Arc<Kept>, Client) {
    let kept = Arc::new(Kept::default());
    let audit: Arc<dyn Audit> = Arc::<Kept>::clone(&kept);
    let server = Server::start_with(1, |config| config.audit = Some(audit)).await;
    let client = server.connect().await;
    kept.take();
    (server, kept, client)
}

/// The statements told since the last call: text, outcome, code, rows.
fn statements(kept: &Kept) -> Vec<(String, String, Value, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = |event: &Value| {
        assert_eq!((&event["event"], &event["door"]), (&json!("statement"), &json!("flight")));
        assert_eq!((&event["role"], &event["address"]), (&json!(USER), &json!("127.0.0.1")));
        assert!(event["duration_us"].is_u64(), "{event}");
        let rows = event["rows"].as_u64().unwrap();
        (text(&event["statement"]), text(&event["outcome"]), event["code"].clone(), rows)
    };
    kept.take().iter().map(told).collect()
}

fn told(text: &str, rows: u64) -> (String, String, Value, u64) {
    (text.to_owned(), "ok".to_owned(), Value::Null, rows)
}

#[tokio::test]
async fn logins_are_told_with_who_and_from_where_and_why_not() {
    let (server, kept, _) = start().await;
    server.connect_as(OTHER).await;
    server.stranger().await.handshake(USER, "cnry-wrong").await.unwrap_err();
    server.stranger().await.handshake("nobody", PASSWORD).await.unwrap_err();
    let mut made_up = server.stranger().await;
    made_up.set_token("cnry-token".to_owned());
    query(&mut made_up, "select 'cnry'").await.unwrap_err();
    let events = kept.take();
    let short = |event: &Value| {
        assert_eq!((&event["event"], &event["door"]), (&json!("login"), &json!("flight")));
        assert_eq!((&event["address"], &event["encrypted"]), (&json!("127.0.0.1"), &json!(false)));
        assert!(event["application"].as_str().unwrap().contains("tonic"), "{event}");
        (event["role"].clone(), event["outcome"].clone(), event["code"].clone())
    };
    let logins: Vec<_> = events.iter().map(short).collect();
    let wrong = |role: &str| (json!(role), json!("refused"), json!("28P01"));
    let right = (json!(OTHER), json!("ok"), Value::Null);
    assert_eq!(logins, [right, wrong(USER), wrong("nobody")]);
    assert!(!format!("{events:?}").contains("cnry"), "{events:?}");
}

#[tokio::test]
async fn each_statement_is_told_once_when_it_has_ended() {
    let (_server, kept, mut client) = start().await;
    query(&mut client, "select 'cnry' as a").await.unwrap();
    assert_eq!(statements(&kept), [told("select ? as a", 1)]);

    let info = client.execute("select 1".to_owned(), None).await.unwrap();
    assert!(statements(&kept).is_empty(), "it has not run yet");
    rows(&mut client, &info).await.unwrap();
    assert_eq!(statements(&kept), [told("select ?", 1)]);

    let text = "select symbol from bar_1m where symbol = ?";
    let mut prepared = client.prepare(text.to_owned(), None).await.unwrap();
    let schema = Schema::new(vec![Field::new("1", DataType::Utf8, true)]);
    let names = Arc::new(StringArray::from(vec!["AAPL"]));
    let bound = RecordBatch::try_new(Arc::new(schema), vec![names]).unwrap();
    prepared.set_parameters(bound).unwrap();
    let info = prepared.execute().await.unwrap();
    rows(&mut client, &info).await.unwrap();
    assert_eq!(statements(&kept), [told(text, 390)]);
    client.get_catalogs().await.unwrap();
    assert!(statements(&kept).is_empty(), "a listing is no statement");
}

#[tokio::test]
async fn what_was_refused_is_told_with_its_code_and_without_its_values() {
    let (_server, kept, mut client) = start().await;
    for (sql, text, code) in [
        ("drop table gold.bar_1m", "drop table gold . bar_1m", "25006"),
        ("select * from nowhere where x = 'cnry'", "select * from nowhere where x = ?", "42P01"),
        ("select \"cnry\"", "", "42703"),
        // Of what cannot be read nobody knows which part was a value.
        ("selekt cnry", "", "42601"),
        ("select 'cnry", "", "42601"),
    ] {
        let expected = [(text.to_owned(), "refused".to_owned(), json!(code), 0)];
        query(&mut client, sql).await.unwrap_err();
        assert_eq!(statements(&kept), expected, "{sql}");
        client.prepare(sql.to_owned(), None).await.unwrap_err();
        assert_eq!(statements(&kept), expected, "{sql}");
        client.execute_update(sql.to_owned(), None).await.unwrap_err();
        assert_eq!(statements(&kept), expected, "{sql}");
    }
    // A result beyond its bound was read in part.
    query(&mut client, "select * from generate_series(1, 1000001)").await.unwrap_err();
    let (_, outcome, code, rows) = statements(&kept).remove(0);
    assert_eq!((outcome.as_str(), code), ("refused", json!("54000")));
    assert!((1..=1_000_000).contains(&rows), "{rows}");
}

#[tokio::test]
async fn a_client_that_goes_away_is_told_of() {
    let (server, kept, mut client) = start().await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    drop(open(&mut client, &info).await.unwrap());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let ended = loop {
        if let Some(ended) = statements(&kept).pop() {
            break ended;
        }
        assert!(tokio::time::Instant::now() < deadline, "nobody is told of the end");
        tokio::task::yield_now().await;
    };
    assert_eq!((ended.1.as_str(), ended.2), ("gone", Value::Null));
    drop(server);
}
