//! What strikes which request, and that a message goes through as it came.

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use model::ManualClock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    Fault, FaultProxy, Plan, authority,
    plan::{Decision, State},
};
use crate::http::Message;

fn request(start: &str, headers: &[&str]) -> Message {
    let headers = headers.iter().map(|line| (*line).to_owned()).collect();
    Message { start: start.to_owned(), headers, body: Vec::new() }
}

#[test]
fn a_fault_strikes_what_it_can_break() {
    let get = request("GET /b/k HTTP/1.1", &[]);
    let put = request("PUT /b/k HTTP/1.1", &[]);
    let create = request("PUT /b/k HTTP/1.1", &["If-None-Match: *"]);
    let struck = |request: &Message| -> Vec<&str> {
        let all = Fault::SINGLE.into_iter().filter(|fault| fault.strikes(request));
        all.map(Fault::name).collect()
    };
    assert_eq!(struck(&get), ["cut-before", "503-slow-down", "truncated-get"]);
    let write = ["applied-then-500", "applied-then-cut", "cut-before", "503-slow-down"];
    assert_eq!(struck(&put), [&write[..], &["delayed-put"]].concat());
    assert_eq!(struck(&create), [&write[..], &["409-without-writing", "delayed-put"]].concat());
}

#[test]
fn a_seed_strikes_the_same_again_and_as_often_as_asked() {
    let create = request("PUT /b/k HTTP/1.1", &["If-None-Match: *"]);
    let run = |seed| -> Vec<Decision> {
        let mut state = State::new(Plan::new(seed, 0.3));
        (0..1_000).map(|_| state.decide(&create, Duration::ZERO)).collect()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let struck = run(7).iter().filter(|decision| **decision != Decision::Pass).count();
    assert!((250..350).contains(&struck), "{struck} of 1,000 at 0.3");
}

#[test]
fn a_plan_ends_and_an_outage_too() {
    let get = request("GET /b/k HTTP/1.1", &[]);
    let mut state = State::new(Plan::always(Fault::CutBefore, 2));
    let mut decide = |seconds| state.decide(&get, Duration::from_secs(seconds));
    assert_eq!(decide(0), Decision::Strike(Fault::CutBefore));
    assert_eq!(decide(0), Decision::Strike(Fault::CutBefore));
    assert_eq!(decide(0), Decision::Pass);
    state.begin_outage(Duration::from_secs(9));
    assert_eq!(state.decide(&get, Duration::from_secs(8)), Decision::Cut);
    assert_eq!(state.decide(&get, Duration::from_secs(9)), Decision::Pass);
    assert!(state.json().contains("\"cut-before\": 2") && state.json().contains("\"outage\": 1"));
}

#[test]
fn every_name_is_its_faults_own() {
    for fault in Fault::SINGLE {
        assert_eq!(Fault::from_name(fault.name()), Some(fault));
    }
    assert_eq!(Fault::from_name("outage"), Some(Fault::Outage));
    assert_eq!(Fault::from_name("flood"), None);
}

#[test]
fn an_upstream_speaks_plain_http() {
    assert_eq!(authority("http://127.0.0.1:9000").unwrap(), "127.0.0.1:9000");
    assert_eq!(authority("http://localhost").unwrap(), "localhost:80");
    for wrong in ["https://127.0.0.1:9000", "127.0.0.1:9000", ""] {
        authority(wrong).expect_err(wrong);
    }
}

/// As a client would send it, with a name of its own for the host and odd capitals.
const PUT: &str = "PUT /b/k%2F%C3%A9?x=%20+ HTTP/1.1\r\nHOST: store.example:81\r\nIf-None-Match: \
                   *\r\nx-amz-Date: 20261123T000000Z\r\ncontent-length: 4\r\n\r\nbody";
const GET: &str = "GET /b/k HTTP/1.1\r\nHost: store.example:81\r\n\r\n";
const REPLY: &str = "HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 10\r\n\r\n0123456789";

/// Sends one request through a proxy that strikes once; returns what the client and the store saw.
async fn send(fault: Option<Fault>, request: &str) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let upstream = format!("http://{}", listener.local_addr().expect("an address"));
    let plan = match fault {
        Some(fault) => Plan::always(fault, 1),
        None => Plan::new(0, 0.0),
    };
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let proxy = FaultProxy::start("127.0.0.1:0", &upstream, plan, clock).await.expect("a port");
    let length = request.len();
    let store = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("the proxy connects");
        let mut seen = vec![0; length];
        socket.read_exact(&mut seen).await.expect("the request");
        socket.write_all(REPLY.as_bytes()).await.expect("the proxy listens");
        String::from_utf8(seen).expect("text")
    });
    let address = proxy.url().trim_start_matches("http://").to_owned();
    let mut client = TcpStream::connect(address).await.expect("the proxy is there");
    client.write_all(request.as_bytes()).await.expect("the proxy listens");
    client.shutdown().await.expect("nothing more to say");
    let mut told = String::new();
    client.read_to_string(&mut told).await.expect("an answer, or none");
    proxy.settle().await;
    assert_eq!(proxy.fired().values().sum::<u64>(), u64::from(fault.is_some()), "{fault:?}");
    drop(proxy);
    // The store never saw a request that was not passed on.
    let seen = if store.is_finished() { store.await.expect("it saw all") } else { String::new() };
    (told, seen)
}

#[tokio::test]
async fn a_request_and_its_reply_go_through_byte_for_byte() {
    assert_eq!(send(None, PUT).await, (REPLY.to_owned(), PUT.to_owned()));
    assert_eq!(send(None, GET).await, (REPLY.to_owned(), GET.to_owned()));
}

#[tokio::test]
async fn what_is_not_http_is_told_so() {
    // As TLS begins; there is no line to wait for.
    let (told, seen) = send(None, "\u{16}\u{3}\u{1}\u{2}").await;
    assert!(told.starts_with("HTTP/1.1 400 ") && seen.is_empty(), "{told}, {seen}");
}

#[tokio::test]
async fn each_fault_breaks_what_its_name_says() {
    for (fault, request, status, is_seen) in [
        (Fault::AppliedThenError, PUT, "HTTP/1.1 500 ", true),
        (Fault::AppliedThenCut, PUT, "", true),
        (Fault::CutBefore, PUT, "", false),
        (Fault::SlowDown, PUT, "HTTP/1.1 503 ", false),
        (Fault::ConflictWithoutWriting, PUT, "HTTP/1.1 409 ", false),
        (Fault::TruncatedGet, GET, "HTTP/1.1 200 ", true),
    ] {
        let (told, seen) = send(Some(fault), request).await;
        assert!(told.starts_with(status), "{fault:?}: {told}");
        assert!(!status.is_empty() || told.is_empty(), "{fault:?}: {told}");
        assert_eq!(seen, if is_seen { request } else { "" }, "{fault:?}");
    }
    let (told, _) = send(Some(Fault::TruncatedGet), GET).await;
    assert!(told.contains("Content-Length: 10\r\n") && told.ends_with("\r\n\r\n01234"), "{told}");
    let (told, seen) = send(Some(Fault::DelayedPut), PUT).await;
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 504 "), "{told}");
    assert_eq!(seen, PUT, "it arrives later");
}
