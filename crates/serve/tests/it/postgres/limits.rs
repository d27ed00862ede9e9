//! Clients that ask for more than their share.

use tokio_postgres::error::SqlState;

use super::Server;

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
