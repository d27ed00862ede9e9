//! The audit: every login and statement once, and no value of any.

use std::sync::{Arc, Mutex};

use futures::TryStreamExt as _;
use serde_json::{Value, json};
use serve::audit::{Audit, Event};

use super::{Server, USER};

/// Keeps events as they would be written.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<Value>>);

impl Audit for Kept {
    fn record(&self, event: &Event) {
        self.0.lock().unwrap().push(serde_json::to_value(event).unwrap());
    }
}

async fn start() -> (Server, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    let audit: Arc<dyn Audit> = Arc::<Kept>::clone(&kept);
    (Server::start_with(|config| config.audit = Some(audit)).await, kept)
}

impl Kept {
    /// Everything told since the last call.
    pub(crate) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The statements told since the last call: text, outcome, code, rows.
    fn statements(&self) -> Vec<(String, String, Value, u64)> {
        let events = self.take();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        events
            .iter()
            .filter(|event| event["event"] == "statement")
            .map(|event| {
                assert_eq!((&event["door"], &event["role"]), (&json!("postgres"), &json!(USER)));
                assert_eq!(event["address"], "127.0.0.1");
                assert!(event["duration_us"].is_u64(), "{event}");
                let rows = event["rows"].as_u64().unwrap();
                (text(&event["statement"]), text(&event["outcome"]), event["code"].clone(), rows)
            })
            .collect()
    }
}

fn told(text: &str, rows: u64) -> (String, String, Value, u64) {
    (text.to_owned(), "ok".to_owned(), Value::Null, rows)
}

fn refused(text: &str, code: &str) -> (String, String, Value, u64) {
    (text.to_owned(), "refused".to_owned(), json!(code), 0)
}

#[tokio::test]
async fn logins_are_told_with_who_and_from_where_and_why_not() {
    let (server, kept) = start().await;
    server.connect().await;
    server.connect_as("cnry-wrong").await.unwrap_err();
    server.psql_with(&["-d", &format!("{} application_name=desktop", server.url())], &[]).await;
    let events = kept.0.lock().unwrap().clone();
    let logins: Vec<&Value> = events.iter().filter(|event| event["event"] == "login").collect();
    let short = |event: &Value| (event["outcome"].clone(), event["code"].clone());
    assert_eq!(short(logins[0]), (json!("ok"), Value::Null));
    assert_eq!(short(logins[1]), (json!("refused"), json!("28P01")));
    assert_eq!(logins[2]["application"], "desktop");
    assert_eq!((&logins[2]["role"], &logins[2]["encrypted"]), (&json!(USER), &json!(false)));
    assert!(!format!("{events:?}").contains("cnry"), "{events:?}");
}

#[tokio::test]
async fn each_statement_is_told_once_in_both_protocols() {
    let (server, kept) = start().await;
    let client = server.connect().await;
    kept.statements();
    client.simple_query("select 'cnry' as a; select symbol from bar_1m limit 3").await.unwrap();
    assert_eq!(
        kept.statements(),
        [told("select ? as a", 1), told("select symbol from bar_1m limit ?", 3)]
    );
    client.query("select symbol from bar_1m where symbol = $1", &[&"AAPL"]).await.unwrap();
    assert_eq!(kept.statements(), [told("select symbol from bar_1m where symbol = ?", 390)]);
    let copy = "copy (select * from bar_1m limit 5) to stdout";
    let copied: Vec<_> = client.copy_out(copy).await.unwrap().try_collect().await.unwrap();
    assert!(!copied.is_empty());
    let copied = "copy ( select * from bar_1m limit ? ) to stdout";
    assert_eq!(kept.statements(), [told(copied, 5)]);
    client
        .simple_query("begin; declare c cursor for select 1 from bar_1m; fetch 7 from c; commit")
        .await
        .unwrap();
    let rows: Vec<u64> = kept.statements().iter().map(|statement| statement.3).collect();
    assert_eq!(rows, [0, 0, 7, 0]);
}

#[tokio::test]
async fn what_was_refused_is_told_with_its_code_and_without_its_values() {
    let (server, kept) = start().await;
    let client = server.connect().await;
    kept.statements();
    for (sql, text, code) in [
        ("drop table gold.bar_1m", "drop table gold . bar_1m", "25006"),
        ("select 'cnry'::int", "select ? :: int", "22P02"),
        ("select \"cnry\"", "", "42703"),
        // Of what cannot be read nobody knows which part was a value.
        ("selekt cnry", "", "42601"),
        ("select 'cnry", "", "42601"),
    ] {
        client.simple_query(sql).await.unwrap_err();
        assert_eq!(kept.statements(), [refused(text, code)], "{sql}");
        client.query(sql, &[]).await.unwrap_err();
        assert_eq!(kept.statements(), [refused(text, code)], "{sql}");
    }
    // A result beyond its bound was read in part.
    let sql = "select * from generate_series(1, 1000001)";
    client.simple_query(sql).await.unwrap_err();
    let (_, outcome, code, rows) = kept.statements().remove(0);
    assert_eq!((outcome.as_str(), code, rows), ("refused", json!("54000"), 1_000_000));
}
