//! Encryption of the HTTP port.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serve::{
    http::HttpConfig,
    tls::{Protocol, Tls},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::rustls::pki_types::ServerName;

use super::fixture::{Server, config, lake_tables, services};
use crate::authority::Authority;

const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &[u8] =
    b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

async fn start(tls: &Arc<Tls>) -> Server {
    let config = HttpConfig { tls: Some(Arc::clone(tls)), ..config("127.0.0.1:0") };
    Server::start_as(config, services(lake_tables())).await
}

/// Asks over TLS, naming `protocol` in the handshake; the error is of the handshake.
async fn ask(
    server: SocketAddr,
    authority: &Authority,
    protocol: Option<&str>,
) -> std::io::Result<String> {
    let stream = TcpStream::connect(server).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = authority.connector(protocol).connect(name, stream).await?;
    stream.write_all(REQUEST).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn browsers_and_programs_are_answered_over_tls_and_others_get_no_further() {
    let authority = Authority::new("authority");
    let server = start(&authority.tls(Protocol::Http, "localhost")).await;
    for protocol in [None, Some("http/1.1")] {
        let answer = ask(server.addr, &authority, protocol).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\"status\":\"ok\""), "{answer}");
    }
    for protocol in ["postgresql", "h2"] {
        assert!(ask(server.addr, &authority, Some(protocol)).await.is_err(), "{protocol}");
    }
    assert!(ask(server.addr, &Authority::new("stranger"), None).await.is_err());
}

#[tokio::test]
async fn nothing_is_answered_in_the_clear() {
    let authority = Authority::new("authority");
    let server = start(&authority.tls(Protocol::Http, "localhost")).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    // A reset is as good as an end.
    drop(timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server hangs up"));
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // A handshake that does not go on holds up neither others nor the end.
    let _silent = TcpStream::connect(server.addr).await.unwrap();
    ask(server.addr, &authority, None).await.unwrap();
    timeout(PATIENCE, server.stop()).await.expect("the server ends");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_whoever_connects_next() {
    let (before, after) = (Authority::new("first"), Authority::new("second"));
    let tls = before.tls(Protocol::Http, "localhost");
    let server = start(&tls).await;
    ask(server.addr, &before, None).await.unwrap();
    let (chain, key) = after.sign("localhost");
    tls.renew(chain.as_bytes(), key.as_bytes()).unwrap();
    ask(server.addr, &after, None).await.unwrap();
    assert!(ask(server.addr, &before, None).await.is_err());
}
