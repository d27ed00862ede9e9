//! Clients that keep more than their share.

use tokio_postgres::error::SqlState;

use super::Server;

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
