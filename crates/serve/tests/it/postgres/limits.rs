//! Statements that ask for more than their share: refused before they are planned, because
//! nothing could end their planning.

use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use super::{PATIENCE, Server};

/// Depth is bounded before the parser builds a tree whose walk would exhaust the stack.
#[tokio::test]
async fn a_statement_as_deep_as_it_is_long_does_not_end_the_process() {
    let server = Server::start().await;
    let client = server.connect().await;
    let chain = |start: &str, part: &str, join: &str, length: usize| {
        format!("{start}{}", vec![part; length].join(join))
    };
    for (start, part, join, allowed) in [
        ("select ", "1", "+", 300),
        ("select ", "true", " or ", 300),
        ("select ", "'x'", "||", 300),
        ("select 1", "", "::int", 300),
        ("", "(select 1)", " union all ", 50),
    ] {
        client.simple_query(&chain(start, part, join, allowed)).await.unwrap();
        for length in [1_500, 10_000] {
            let error = client.simple_query(&chain(start, part, join, length)).await.unwrap_err();
            assert_eq!(error.code().map(SqlState::code), Some("54001"), "{length} of {join}");
        }
    }
    let nested = format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    client.simple_query(&nested).await.unwrap_err();
    let list = chain("select count(*) from bar_1m where revision in (1, ", "7", ",", 10_000);
    client.simple_query(&format!("{list})")).await.unwrap();
}

#[tokio::test]
async fn a_statement_that_would_be_planned_without_end_is_refused() {
    let server = Server::start().await;
    let client = server.connect().await;
    let links: Vec<String> =
        (0..40).map(|n| format!("a{} as (select p.x from a{n} p, a{n} q)", n + 1)).collect();
    let doubling = format!("with a0 as (select 1 as x), {} select * from a40", links.join(", "));
    let tables: Vec<String> = (0..5_000).map(|n| format!("bar_1m t{n}")).collect();
    let tables = format!("select count(*) from {}", tables.join(", "));
    let links: Vec<String> =
        (0..40).map(|n| format!("a{} as (select x + x as x from a{n})", n + 1)).collect();
    let growing = format!(
        "with a0 as (select revision as x from bar_1m), {} select x from a40 where x > 1",
        links.join(", ")
    );
    let ones = format!("select {}", vec!["1"; 10_000].join(","));
    let calls = format!("select {}1 +", "floor(".repeat(45));
    let expanding =
        format!("select {}symbol{} from bar_1m", "_pg_expandarray(".repeat(40), ")".repeat(40));
    for (text, code) in [
        (&expanding, "42883"),
        (&doubling, "54001"),
        (&tables, "54001"),
        (&growing, "54001"),
        (&ones, "54011"),
        (&calls, "42601"),
    ] {
        for explain in ["", "explain "] {
            let text = format!("{explain}{text}");
            let simple = timeout(PATIENCE, client.simple_query(&text)).await.expect("in time");
            let simple = simple.unwrap_err();
            assert_eq!(simple.code().map(SqlState::code), Some(code), "{simple:?}");
            let extended = timeout(PATIENCE, client.prepare(&text)).await.expect("in time");
            let extended = extended.err().unwrap();
            assert_eq!(extended.code().map(SqlState::code), Some(code), "{extended:?}");
        }
    }
    let calls = format!("select {}1{}", "abs(".repeat(40), ")".repeat(40));
    timeout(PATIENCE, client.simple_query(&calls)).await.expect("in time").unwrap();
}

#[tokio::test]
async fn as_many_columns_as_in_postgresql_are_served() {
    let server = Server::start().await;
    let client = server.connect().await;
    let ones = format!("select {}", vec!["1"; 1_664].join(","));
    let rows = timeout(PATIENCE, client.query(&ones, &[])).await.expect("in time").unwrap();
    assert_eq!(rows[0].len(), 1_664);
    assert!(rows[0].columns().iter().all(|column| column.name() == "?column?"));
    // Each within the limit, more together.
    let columns: Vec<String> = (0..900).map(|n| format!("1 as c{n}")).collect();
    let wide = format!("with w as (select {}) select * from w a, w b", columns.join(","));
    let error = timeout(PATIENCE, client.query(&wide, &[])).await.expect("in time").unwrap_err();
    assert_eq!(error.code().map(SqlState::code), Some("54011"), "{error:?}");
    client.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn a_connection_keeps_prepared_statements_up_to_a_bound() {
    let server = Server::start().await;
    let client = server.connect().await;
    let text = |n: usize| format!("select {n} /* {} */", "x".repeat(200_000));
    let mut kept = Vec::new();
    let error = loop {
        assert!(kept.len() < 100, "no bound");
        match client.prepare(&text(kept.len())).await {
            Ok(statement) => kept.push(statement),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_RESOURCES), "{error:?}");
    assert_eq!(kept.len(), 4 * 1024 * 1024 / 200_000);
    // Those that are kept still work, and closing one makes room.
    client.query_one(&kept[7], &[]).await.unwrap();
    kept.pop();
    client.prepare(&text(0)).await.unwrap();
}
