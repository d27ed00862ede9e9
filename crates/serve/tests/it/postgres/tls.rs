//! Encryption: who is spoken to, with which certificate, and who is not.

use std::sync::Arc;

use serve::tls::{Protocol, Tls};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::rustls::pki_types::ServerName;

use super::{PATIENCE, Server, USER};
use crate::authority::Authority;

fn certified(authority: &Authority, name: &str) -> Arc<Tls> {
    authority.tls(Protocol::Postgres, name)
}

async fn start(tls: &Arc<Tls>, is_required: bool) -> Server {
    let tls = Arc::clone(tls);
    Server::start_with(|config| {
        config.tls = Some(tls);
        config.tls_required = is_required;
    })
    .await
}

/// psql with further words of a connection string, and the host by the name that is certified.
async fn psql(server: &Server, words: &str, command: &str) -> super::Psql {
    let url = format!("{} host=localhost hostaddr=127.0.0.1 {words}", server.url());
    server.psql_with(&["-At", "-d", &url], &[command]).await
}

#[tokio::test]
async fn psql_checks_the_certificate_and_binds_its_login_to_it() {
    let authority = Authority::new("authority");
    let server = start(&certified(&authority, "localhost"), false).await;
    let strict = format!("{} sslmode=verify-full channel_binding=require", authority.roots());
    for version in ["TLSv1.2", "TLSv1.3"] {
        let words = format!(
            "{strict} ssl_min_protocol_version={version} ssl_max_protocol_version={version}"
        );
        let said = psql(&server, &words, "\\conninfo").await;
        said.succeeds().shows(&format!("protocol: {version}"));
    }
    // Without, on the same machine, as before; and every other way that psql knows.
    for words in [
        "sslmode=disable channel_binding=disable",
        "sslmode=prefer channel_binding=disable",
        "sslmode=require channel_binding=prefer",
        "sslmode=allow",
    ] {
        psql(&server, words, "select 40 + 2").await.succeeds().shows("42");
    }
}

#[tokio::test]
async fn psql_speaks_to_no_server_it_does_not_know() {
    let (authority, stranger) = (Authority::new("first"), Authority::new("second"));
    let server = start(&certified(&stranger, "localhost"), false).await;
    let words = format!("{} sslmode=verify-full", authority.roots());
    psql(&server, &words, "select 1").await.fails_with("certificate verify failed");
    let server = start(&certified(&authority, "elsewhere.example"), false).await;
    psql(&server, &words, "select 1").await.fails_with("does not match host name");
}

#[tokio::test]
async fn a_client_in_the_clear_is_told_to_encrypt_and_gets_no_further() {
    let authority = Authority::new("authority");
    let server = start(&certified(&authority, "localhost"), true).await;
    let refused = psql(&server, "sslmode=disable", "select 1").await;
    refused.fails_with("encrypted connections only").fails_with("sslmode=require");
    psql(&server, "sslmode=require", "select 40 + 2").await.succeeds().shows("42");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_clients() {
    let (before, after) = (Authority::new("first"), Authority::new("second"));
    let tls = certified(&before, "localhost");
    let server = start(&tls, true).await;
    let words = |authority: &Authority| format!("{} sslmode=verify-full", authority.roots());
    psql(&server, &words(&before), "select 40 + 2").await.succeeds();
    let (chain, key) = after.sign("localhost");
    let (_, other_key) = after.sign("localhost");
    assert!(tls.renew(chain.as_bytes(), other_key.as_bytes()).is_err());
    psql(&server, &words(&before), "select 40 + 2").await.succeeds();
    tls.renew(chain.as_bytes(), key.as_bytes()).unwrap();
    psql(&server, &words(&after), "select 40 + 2").await.succeeds();
    psql(&server, &words(&before), "select 1").await.fails_with("certificate verify failed");
}

/// Somebody on the way puts a message behind the client's request for TLS (CVE-2021-23222).
#[tokio::test]
async fn bytes_sent_before_the_handshake_are_never_taken_for_the_clients() {
    let authority = Authority::new("authority");
    let server = start(&certified(&authority, "localhost"), false).await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let request = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";
    stream.write_all(&[request, startup().as_slice()].concat()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is as good as an end.
    drop(timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server hangs up"));
    assert_eq!(answer.first(), Some(&b'S'));
    assert!(!answer.windows(5).any(|part| part == b"SCRAM"), "no word of a login: {answer:?}");
    psql(&server, "sslmode=require", "select 40 + 2").await.succeeds();
}

#[tokio::test]
async fn a_handshake_at_once_has_to_name_the_protocol() {
    let authority = Authority::new("authority");
    let server = start(&certified(&authority, "localhost"), true).await;
    let name = || ServerName::try_from("localhost").unwrap();
    let dial = async || TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();

    let connector = authority.connector(Some("postgresql"));
    let mut named = connector.connect(name(), dial().await).await.unwrap();
    named.write_all(&startup()).await.unwrap();
    let mut head = [0; 9];
    timeout(PATIENCE, named.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!((head[0], &head[5..]), (b'R', &[0, 0, 0, 10][..]), "a SASL request");
    let mut offered = vec![0; "SCRAM-SHA-256-PLUS".len()];
    named.read_exact(&mut offered).await.unwrap();
    assert_eq!(offered, b"SCRAM-SHA-256-PLUS");

    let mut nameless = authority.connector(None).connect(name(), dial().await).await.unwrap();
    nameless.write_all(&startup()).await.ok();
    let mut rest = Vec::new();
    drop(timeout(PATIENCE, nameless.read_to_end(&mut rest)).await.expect("the server hangs up"));
    assert!(rest.is_empty(), "{rest:?}");
    // A browser that somebody led here.
    let http = authority.connector(Some("http/1.1")).connect(name(), dial().await).await;
    assert!(http.is_err());
}

fn startup() -> Vec<u8> {
    let body = format!("user\0{USER}\0database\0marketlake\0\0");
    let length = u32::try_from(8 + body.len()).unwrap();
    [&length.to_be_bytes()[..], &[0, 3, 0, 0], body.as_bytes()].concat()
}
