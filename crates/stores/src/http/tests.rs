//! A message goes through as it came, and no bytes are too odd.

use proptest::prelude::*;

use super::{Message, Reader};

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
        let mut sent = Message { start: format!("PUT {target} HTTP/1.1"), headers, body };
        sent.headers.push(format!("content-length: {}", sent.body.len()));
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
