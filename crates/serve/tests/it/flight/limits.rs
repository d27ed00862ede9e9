//! Statements that ask for more than their share, and clients that go away.

use arrow_flight::{Action, CancelFlightInfoRequest};
use futures::StreamExt as _;
use prost::Message as _;
use serve::postgres::{Limits, Role};

use super::*;

/// Reads the first batch of a result.
async fn begin(client: &mut Client, text: &str) -> (FlightInfo, FlightRecordBatchStream) {
    let info = client.execute(text.to_owned(), None).await.unwrap();
    let mut stream = open(client, &info).await.unwrap();
    let first = tokio::time::timeout(PATIENCE, stream.next()).await;
    first.expect("the first rows come in time").unwrap().unwrap();
    (info, stream)
}

/// Reads a result that does not end well to its end.
async fn end(mut stream: FlightRecordBatchStream) -> Status {
    let ending = async {
        loop {
            if let Err(error) = stream.next().await.expect("it does not end well") {
                return status(error);
            }
        }
    };
    tokio::time::timeout(PATIENCE, ending).await.expect("it ends in time")
}

#[tokio::test]
async fn rows_are_counted() {
    let server = Server::start_with(1, |config| config.rows_max = 10_000).await;
    let mut client = server.connect().await;
    let all = query(&mut client, "select * from generate_series(1, 10000)").await.unwrap();
    assert_eq!(count(&all), 10_000);
    let more = query(&mut client, "select * from generate_series(1, 10001)").await;
    refused(more, Code::ResourceExhausted, "more than 10000 rows");
}

#[tokio::test]
async fn time_is_counted_until_the_last_row() {
    let server = Server::start_with(1, |config| {
        config.statement_timeout = Duration::from_millis(500);
        config.rows_max = u64::MAX;
    });
    let server = server.await;
    let mut client = server.connect().await;
    refused(query(&mut client, SILENT).await, Code::DeadlineExceeded, "timeout");
    let (_, stream) = begin(&mut client, ENDLESS).await;
    assert_eq!(end(stream).await.code(), Code::DeadlineExceeded);
    assert_eq!(count(&query(&mut client, "select 1").await.unwrap()), 1);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_statement() {
    let server = Server::start_with(1, |config| {
        config.connections_max = 4;
        config.rows_max = u64::MAX;
    });
    let server = server.await;
    // A connection of its own for each reader: what they leave unread would fill a common one.
    let mut reading = Vec::new();
    for _ in 0..3 {
        let mut reader = server.connect().await;
        reading.push((begin(&mut reader, ENDLESS).await, reader));
    }
    let mut client = server.connect().await;
    let unread = begin(&mut client, ENDLESS).await;
    let busy = client.execute("select 1".to_owned(), None).await;
    refused(busy, Code::ResourceExhausted, "4 statements are running");
    drop(unread);
    // The server hears of it soon, not at once.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = query(&mut client, "select 1").await {
        assert_eq!(status(error).code(), Code::ResourceExhausted);
        assert!(tokio::time::Instant::now() < deadline, "the slot stays taken");
        tokio::task::yield_now().await;
    }
    // Also one that goes without a word.
    drop((reading, client));
    let mut client = server.connect().await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = query(&mut client, "select 1").await {
        assert_eq!(status(error).code(), Code::ResourceExhausted);
        assert!(tokio::time::Instant::now() < deadline, "the slots stay taken");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_stands_still_gives_up_its_statement_and_hears_of_it() {
    // One statement at a time, so that the next one runs only when this one has been given up.
    let limits = Limits { connections_max: Some(1), ..Limits::default() };
    let mut users = Users::new();
    users.insert_role(USER, Role { verifier: verifier(), grants: None, limits });
    let server = Server::start_for(users, 1, |config| {
        config.statement_timeout = PATIENCE * 1_000;
        config.rows_max = u64::MAX;
    });
    let server = server.await;
    let (mut idle, mut client) = (server.connect().await, server.connect().await);
    let (_, unread) = begin(&mut idle, ENDLESS).await;
    let busy = client.execute("select 1".to_owned(), None).await;
    refused(busy, Code::ResourceExhausted, "is running as many statements as it may");
    server.hurry(100);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = query(&mut client, "select 1").await {
        assert_eq!(status(error).code(), Code::ResourceExhausted);
        assert!(tokio::time::Instant::now() < deadline, "the slot stays taken");
        tokio::task::yield_now().await;
    }
    let told = end(unread).await;
    assert_eq!(told.code(), Code::DeadlineExceeded, "{told:?}");
    assert!(told.message().contains("not read for 60 s"), "{told:?}");
}

#[tokio::test]
async fn a_statement_is_cancelled_from_elsewhere() {
    let server = Server::start_with(1, |config| config.rows_max = u64::MAX).await;
    let (mut client, mut other) = (server.connect().await, server.connect_as(OTHER).await);
    let (info, stream) = begin(&mut client, ENDLESS).await;
    let body = CancelFlightInfoRequest { info: Some(info) }.encode_to_vec();
    let cancel = Action::new("CancelFlightInfo", body);
    refused(other.do_action(cancel.clone()).await, Code::NotFound, "no such statement");
    client.do_action(cancel.clone()).await.unwrap();
    assert_eq!(end(stream).await.code(), Code::Cancelled);
    refused(client.do_action(cancel).await, Code::NotFound, "no such statement");

    // One that is not being read yet is forgotten.
    let info = client.execute("select 1".to_owned(), None).await.unwrap();
    let body = CancelFlightInfoRequest { info: Some(info.clone()) }.encode_to_vec();
    client.do_action(Action::new("CancelFlightInfo", body)).await.unwrap();
    refused(open(&mut client, &info).await, Code::NotFound, "ticket");
}

#[tokio::test]
async fn what_is_planned_without_end_is_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let deep = format!("select {}1", "1+".repeat(10_000));
    refused(query(&mut client, &deep).await, Code::ResourceExhausted, "54001");
    let wide = format!("select {}1", "1,".repeat(2_000));
    refused(query(&mut client, &wide).await, Code::ResourceExhausted, "54011");
    let long = format!("select '{}'", "x".repeat(300_000));
    refused(query(&mut client, &long).await, Code::ResourceExhausted, "256 KiB");
}

#[tokio::test]
async fn a_stop_ends_streams_and_tells_their_readers() {
    let server = Server::start_with(20, |config| {
        config.statement_timeout = PATIENCE * 40;
        config.rows_max = u64::MAX;
    });
    let server = server.await;
    let mut client = server.connect().await;
    let (_, stream) = begin(&mut client, ENDLESS).await;
    let ended = tokio::spawn(end(stream));
    server.stop().await;
    assert_eq!(ended.await.unwrap().code(), Code::Unavailable);
}
