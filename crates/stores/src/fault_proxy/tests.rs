//! What strikes which request, and that a message goes through as it came.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    Fault, Plan, authority,
    http::{Message, Reader},
    plan::{Decision, State},
};

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

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_body_in_chunks_gets_a_length() {
    let mut wire: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: \
        chunked\r\nETag: x\r\n\r\n3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: y\r\n\r\nnext";
    let reply = run(Reader::new(&mut wire).response("GET")).unwrap();
    assert_eq!(reply.body, b"abc0123456789");
    assert_eq!(reply.headers, ["ETag: x", "Content-Length: 13"]);
    assert_eq!(wire, b"next");
}

#[test]
fn a_response_without_a_body_is_read_as_one() {
    for (method, head) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("DELETE", "HTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        let wire = format!("{head}next");
        let mut rest = wire.as_bytes();
        let reply = run(Reader::new(&mut rest).response(method)).expect(method);
        assert_eq!((reply.encode(), rest), (head.as_bytes().to_vec(), &b"next"[..]));
    }
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    for wire in [
        "PUT /k HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        "PUT /k HTTP/1.1\r\nContent-Length: many\r\n\r\nabc",
        "PUT /k HTTP/1.1\r\nContent-Length: 4\r\n\r\nabc",
        "PUT /k HTTP/1.1\r\nContent-Length: 67108865\r\n\r\n",
        "PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        "PUT /k HTTP/1.1\r\nHost: a",
    ] {
        let mut rest = wire.as_bytes();
        run(Reader::new(&mut rest).request()).expect_err(wire);
    }
}

proptest! {
    #[test]
    fn a_request_goes_through_as_it_came(
        target in "/[a-z%0-9=&?/+]{0,40}",
        headers in prop::collection::vec("X-[a-z]{1,8}: [ -~]{0,30}", 0..6),
        body in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let mut sent = request(&format!("PUT {target} HTTP/1.1"), &[]);
        sent.headers = headers;
        sent.headers.push(format!("content-length: {}", body.len()));
        sent.body = body;
        let mut wire = sent.encode();
        wire.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        let mut rest = wire.as_slice();
        let read = run(Reader::new(&mut rest).request()).unwrap();
        prop_assert_eq!(read.as_ref(), Some(&sent));
        let next = run(Reader::new(&mut rest).request()).unwrap().unwrap();
        prop_assert_eq!(next.target(), "/");
        prop_assert_eq!(run(Reader::new(&mut rest).request()).unwrap(), None);
    }

    #[test]
    fn no_bytes_are_too_odd(wire in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut rest = wire.as_slice();
        drop(run(Reader::new(&mut rest).request()));
        let mut rest = wire.as_slice();
        drop(run(Reader::new(&mut rest).response("GET")));
    }
}
