//! The live stream: nothing lost, nothing twice, across pauses and restarts.

use std::sync::Arc;

use super::{
    client::{Events, get, send},
    fixture::{FakeFeed, Server},
};

const STREAM: &str = "/api/v1/stream";

/// The server's own bound on open streams.
const STREAMS_MAX: usize = 64;

#[tokio::test]
async fn changes_arrive_as_they_are_committed() {
    let feed = Arc::new(FakeFeed::default());
    feed.commit(&["OLD"]);
    let server = Server::with_feed(&feed).await;
    let (mut events, greeting) = Events::open(server.addr, STREAM, None).await;
    assert_eq!(greeting.id, "2-0", "everything up to version 1 is behind a new client");
    feed.commit(&["AAPL", "MSFT"]);
    feed.commit(&[]);
    feed.commit(&["AAPL"]);
    assert_eq!(events.bar_ids(3).await, ["2-1", "2-2", "4-1"]);
    server.stop().await;
}

#[tokio::test]
async fn the_data_is_the_bar() {
    let feed = Arc::new(FakeFeed::default());
    let server = Server::with_feed(&feed).await;
    let (mut events, _) = Events::open(server.addr, STREAM, None).await;
    feed.commit(&["AAPL"]);
    let event = events.next().await.unwrap();
    assert_eq!(event.event, "bar");
    let bar: serde_json::Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(bar["symbol"], "AAPL");
    assert_eq!(bar["interval"], "1m");
    assert_eq!(bar["ts_start"], "2026-01-06T14:30:00Z");
    assert_eq!(bar["close"], "10.5");
    assert_eq!(bar["volume"], "100");
    assert_eq!(bar["revision"], 1);
}

#[tokio::test]
async fn a_client_gets_only_the_symbols_it_asked_for() {
    let feed = Arc::new(FakeFeed::default());
    let server = Server::with_feed(&feed).await;
    let path = format!("{STREAM}?symbols=MSFT,NVDA");
    let (mut events, _) = Events::open(server.addr, &path, None).await;
    feed.commit(&["AAPL", "MSFT"]);
    feed.commit(&["NVDA", "AAPL"]);
    assert_eq!(events.bar_ids(2).await, ["1-2", "2-1"]);
}

#[tokio::test]
async fn a_client_goes_on_where_it_stopped_also_after_a_restart() {
    let feed = Arc::new(FakeFeed::default());
    let server = Server::with_feed(&feed).await;
    let (mut events, _) = Events::open(server.addr, STREAM, None).await;
    feed.commit(&["A", "B", "C"]);
    assert_eq!(events.bar_ids(2).await, ["1-1", "1-2"]);
    drop(events);
    server.stop().await;
    feed.commit(&["D"]);

    let server = Server::with_feed(&feed).await;
    let (mut events, greeting) = Events::open(server.addr, STREAM, Some("1-2")).await;
    assert_eq!(greeting.id, "1-2");
    assert_eq!(events.bar_ids(2).await, ["1-3", "2-1"]);
    feed.commit(&["E"]);
    assert_eq!(events.bar_ids(1).await, ["3-1"]);
}

#[tokio::test]
async fn all_clients_see_the_same_ids() {
    let feed = Arc::new(FakeFeed::default());
    let server = Server::with_feed(&feed).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        feed.commit(&["A"]);
        clients.push(Events::open(server.addr, STREAM, Some("1-0")).await.0);
    }
    for _ in 0..20 {
        feed.commit(&["A", "B"]);
    }
    let expected: Vec<String> = (1..=5)
        .map(|version| format!("{version}-1"))
        .chain((6..=25).flat_map(|version| [format!("{version}-1"), format!("{version}-2")]))
        .collect();
    for mut client in clients {
        assert_eq!(client.bar_ids(expected.len()).await, expected);
    }
}

#[tokio::test]
async fn an_id_too_old_or_from_another_table_is_answered_with_a_reset() {
    let feed = Arc::new(FakeFeed::default());
    for _ in 0..2_100 {
        feed.commit(&[]);
    }
    let server = Server::with_feed(&feed).await;
    for id in ["1-0", "9999-1"] {
        let (mut events, _) = Events::open(server.addr, STREAM, Some(id)).await;
        let reset = events.next().await.unwrap();
        assert_eq!((reset.event.as_str(), reset.id.as_str()), ("reset", "2101-0"), "{id}");
        assert!(reset.data.contains("/api/v1/bars"), "{reset:?}");
    }
}

#[tokio::test]
async fn an_id_that_never_was_one_is_refused() {
    let server = Server::start().await;
    let head = format!("GET {STREAM} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: x\r\n");
    let reply = send(server.addr, &head).await;
    assert_eq!(reply.status, 400);
    assert!(reply.error().1.contains("`Last-Event-ID` is `x`"), "{}", reply.body);
}

#[tokio::test]
async fn streams_are_bounded_and_counted_and_given_back() {
    let server = Server::start().await;
    let mut open = Vec::new();
    for _ in 0..STREAMS_MAX {
        open.push(Events::open(server.addr, STREAM, None).await.0);
    }
    let refused = get(server.addr, STREAM).await;
    assert_eq!((refused.status, refused.error().0.as_str()), (503, "busy"));
    let metrics = get(server.addr, "/metrics").await.body;
    assert!(metrics.contains("\nmarketlake_serve_stream_connections 64\n"), "{metrics}");
    drop(open);
    // The server notices a client's leaving when it next looks at the connection.
    let mut is_free = false;
    for _ in 0..200 {
        let metrics = get(server.addr, "/metrics").await.body;
        is_free = metrics.contains("\nmarketlake_serve_stream_connections 0\n");
        if is_free {
            break;
        }
    }
    assert!(is_free, "the slots of clients that left are free again");
}

#[tokio::test]
async fn a_stop_ends_open_streams_at_once() {
    let server = Server::start().await;
    let (mut events, _) = Events::open(server.addr, STREAM, None).await;
    let started = tokio::time::Instant::now();
    server.stop().await;
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    assert_eq!(events.next().await, None);
}
