//! Peers that do not keep to the protocol, or keep to it and take more than their share.

use std::{
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_postgres::error::SqlState;

use super::{PASSWORD, PATIENCE, Server, USER};

/// Connections to which nonsense is sent, each with one message that is not what it should be.
const SEEDS: u64 = 150;

/// Panics on the threads that serve clients, in all tests of this binary.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn watch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("marketlake-sql") {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            print(info);
        }));
    });
}

/// A connection on which a test says exactly what it wants to.
pub(super) struct Raw {
    stream: TcpStream,
}

impl Raw {
    async fn dial(server: &Server) -> Self {
        Self { stream: TcpStream::connect(("127.0.0.1", server.port)).await.unwrap() }
    }

    /// Lets tokio-postgres log in, and takes the socket from it.
    pub(super) async fn login(server: &Server) -> Self {
        let mut raw = Self::dial(server).await;
        let mut config: tokio_postgres::Config = server.url().parse().unwrap();
        config.password(PASSWORD);
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        tokio::select! {
            connected = config.connect_raw(near, tokio_postgres::NoTls) => drop(connected.unwrap()),
            _ = tokio::io::copy_bidirectional(&mut far, &mut raw.stream) => panic!("hung up"),
        }
        raw
    }

    /// Sends a startup packet and reads what the server wants to know.
    async fn start(server: &Server) -> Self {
        let mut raw = Self::dial(server).await;
        raw.stream.write_all(&startup()).await.unwrap();
        let (kind, body) = raw.receive().await.unwrap();
        assert_eq!((kind, &body[..4]), (b'R', &[0, 0, 0, 10][..]), "a SASL request");
        raw
    }

    /// Writes what may meet a socket that the server has closed.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }

    /// The next message of the server, its type and its body; `None` at the end.
    pub(super) async fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let kind = self.stream.read_u8().await?;
            let length = self.stream.read_u32().await?;
            let mut body = vec![0; usize::try_from(length).unwrap() - 4];
            self.stream.read_exact(&mut body).await?;
            std::io::Result::Ok((kind, body))
        };
        timeout(PATIENCE, reading).await.expect("the server answers or hangs up").ok()
    }

    /// Reads to the next message of a type that is told, past all others.
    async fn receive_only(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let (kind, body) = self.receive().await.expect("the connection is open");
            if kind == wanted {
                return body;
            }
        }
    }
}

fn startup() -> Vec<u8> {
    let body = format!("user\0{USER}\0database\0marketlake\0\0");
    let length = u32::try_from(8 + body.len()).unwrap();
    [&length.to_be_bytes()[..], &[0, 3, 0, 0], body.as_bytes()].concat()
}

pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// The five characters after the field `C` of an error.
pub(super) fn code(error: &[u8]) -> String {
    let mut fields = error.split(|byte| *byte == 0);
    let code = fields.find(|field| field.first() == Some(&b'C')).unwrap();
    String::from_utf8(code[1..].to_vec()).unwrap()
}

/// Bytes that are no PostgreSQL: the server closes the connection and goes on.
#[tokio::test]
async fn garbage_on_the_port_harms_nobody() {
    watch_panics();
    let server = Server::start().await;
    let garbage: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xff\xff\xff\xff\x04\xd2\x16\x2f",
        b"\x00\x00\x00\x04\x04\xd2\x16\x2f",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x08\x04\xd2\x16\x2fQ\x7f\xff\xff\xff",
        b"\x00\x00\x00\x09\x00\x03\x00\x00\x00",
        b"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02",
        b"\x00\x00\x00\x06\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in garbage {
        let mut raw = Raw::dial(&server).await;
        raw.send(bytes).await;
        raw.stream.shutdown().await.ok();
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, raw.stream.read_to_end(&mut rest)).await;
        // A reset is as good as an end.
        drop(ended.expect("the server hangs up"));
    }
    server.connect().await.simple_query("select 1").await.unwrap();
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

/// Messages as they should be, of every type that a client may send.
fn messages() -> Vec<(u8, Vec<u8>)> {
    let bind = b"\0name\0\0\x02\0\0\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\x01";
    vec![
        (b'B', bind.to_vec()),
        (b'C', b"Sname\0".to_vec()),
        (b'D', b"Pname\0".to_vec()),
        (b'E', b"name\0\0\0\0\x01".to_vec()),
        (b'H', Vec::new()),
        (b'P', b"name\0select $1\0\0\x01\0\0\0\x19".to_vec()),
        (b'Q', b"select 1\0".to_vec()),
        (b'S', Vec::new()),
        (b'c', Vec::new()),
        (b'd', b"data".to_vec()),
        (b'f', b"reason\0".to_vec()),
        (b'p', b"SCRAM-SHA-256\0\0\0\0\x03n,,".to_vec()),
        (b'X', Vec::new()),
    ]
}

/// A message that was cut, made longer, or bent in some of its bytes, in a frame that is right.
fn spoil(mut message: (u8, Vec<u8>), dice: &mut StdRng) -> (u8, Vec<u8>) {
    let body = &mut message.1;
    match dice.random_range(0..5) {
        0 => body.truncate(dice.random_range(0..=body.len())),
        1 => body.extend((0..dice.random_range(1..9)).map(|_| dice.random::<u8>())),
        2 => message.0 = dice.random(),
        _ => {
            for _ in 0..dice.random_range(1..4) {
                let length = body.len();
                if let Some(byte) = body.get_mut(dice.random_range(0..length.max(1))) {
                    *byte = *[0, 1, 0x7f, 0x80, 0xff].get(dice.random_range(0..5)).unwrap();
                }
            }
        }
    }
    message
}

#[tokio::test]
async fn a_message_cut_short_ends_its_own_connection_and_no_other() {
    watch_panics();
    let server = Server::start().await;
    for kind in messages().iter().map(|(kind, _)| *kind).filter(|kind| *kind != b'X') {
        // The length that a message needs at least, less one byte; `d` has none.
        let Some((_, body)) = messages().into_iter().find(|(other, body)| {
            *other == kind && !body.is_empty() && !matches!(kind, b'd' | b'p')
        }) else {
            continue;
        };
        let mut raw = Raw::login(&server).await;
        raw.send(&message(kind, &body[..body.len() - 1])).await;
        let error = raw.receive_only(b'E').await;
        assert_eq!(code(&error), "08P01", "{}", char::from(kind));
        assert_eq!(raw.receive().await, None, "the connection is closed");
    }
    // Before login, where anybody can send it.
    for body in [&b"x\0\x7f\xff\xff\xff"[..], b"SCRAM-SHA-256\0\0\0\0\x09n,,", b"x\0", b"", b"x"] {
        let mut raw = Raw::start(&server).await;
        raw.send(&message(b'p', body)).await;
        let error = raw.receive_only(b'E').await;
        assert_eq!(code(&error), "08P01", "{body:?}");
        assert_eq!(raw.receive().await, None, "the connection is closed");
    }
    server.connect().await.simple_query("select 1").await.unwrap();
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

#[expect(clippy::disallowed_methods, reason = "a failing seed is replayed from the environment")]
fn seeds() -> std::ops::Range<u64> {
    match std::env::var("MARKETLAKE_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("MARKETLAKE_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    }
}

#[tokio::test]
async fn nonsense_gets_an_answer_or_the_end_and_never_a_panic() {
    watch_panics();
    let server = Server::start_with(|config| config.connections_max = 64).await;
    for seed in seeds() {
        println!("replay with MARKETLAKE_SEED={seed}");
        let mut dice = StdRng::seed_from_u64(seed);
        let all = messages();
        let (kind, body) = spoil(all[dice.random_range(0..all.len())].clone(), &mut dice);
        let mut raw = match dice.random_range(0..3) {
            0 => Raw::dial(&server).await,
            1 => Raw::start(&server).await,
            _ => Raw::login(&server).await,
        };
        raw.send(&message(kind, &body)).await;
        raw.send(&message(b'S', &[])).await;
        raw.stream.shutdown().await.ok();
        while let Some((kind, body)) = raw.receive().await {
            if kind == b'E' {
                assert_eq!(code(&body).len(), 5, "{body:?}");
            }
        }
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {seed}");
    }
    server.connect().await.simple_query("select 1").await.unwrap();
}

/// Answers leave as they come to be, also for a client that never says Sync.
#[tokio::test]
async fn answers_do_not_pile_up_until_the_next_sync() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    let columns: Vec<String> = (0..1_600).map(|n| format!("1 as column_{n}")).collect();
    let parse = format!("wide\0select {}\0\0\0", columns.join(","));
    raw.send(&message(b'P', parse.as_bytes())).await;
    let count = 200;
    raw.send(&message(b'D', b"Swide\0").repeat(count)).await;
    // Some 50 KB each. What fills less than an outbox waits for more, so the last may be missing.
    for _ in 1..count {
        raw.receive_only(b'T').await;
    }
}

#[tokio::test]
async fn peers_that_never_prove_who_they_are_take_no_slot() {
    let server = Server::start_with(|config| config.connections_max = 2).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(Raw::start(&server).await);
    }
    let (first, second) = (server.connect().await, server.connect().await);
    let error = server.connect_as(PASSWORD).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{error:?}");
    // Whoever has no password is not told how busy the server is.
    let error = server.connect_as("wrong").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD), "{error:?}");
    first.simple_query("select 1").await.unwrap();
    second.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_idle_for_too_long_ends_with_its_connection() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    raw.send(&message(b'Q', b"set idle_in_transaction_session_timeout = '200ms'\0")).await;
    raw.receive_only(b'Z').await;
    // Outside of a transaction a client may be silent.
    let mut byte = [0];
    timeout(Duration::from_millis(600), raw.stream.peek(&mut byte)).await.unwrap_err();
    raw.send(&message(b'Q', b"begin\0")).await;
    raw.receive_only(b'Z').await;
    assert_eq!(code(&raw.receive_only(b'E').await), "25P03");
    assert_eq!(raw.receive().await, None, "the connection is closed");
}

/// A query that waits for its client keeps memory from others.
#[tokio::test]
async fn a_result_that_is_not_fetched_ends_with_its_connection() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    let open = [message(b'P', b"\0select * from bar_1m\0\0\0"), message(b'B', &[0; 8])].concat();
    let all = [&open[..], &message(b'E', b"\0\0\0\0\0"), &message(b'H', b"")].concat();
    raw.send(&all).await;
    raw.receive_only(b'C').await;
    // Nothing is left of this one, so it may lie there.
    let mut byte = [0];
    timeout(Duration::from_secs(5), raw.stream.peek(&mut byte)).await.unwrap_err();
    let part = [&open[..], &message(b'E', b"\0\0\0\0\x01"), &message(b'H', b"")].concat();
    raw.send(&part).await;
    raw.receive_only(b's').await;
    assert_eq!(code(&raw.receive_only(b'E').await), "25P03");
    assert_eq!(raw.receive().await, None, "the connection is closed");
}

#[tokio::test]
async fn a_setting_too_long_to_be_told_is_refused() {
    let server = Server::start().await;
    let client = server.connect().await;
    let path = "x".repeat(40_000);
    for text in [format!("set search_path = '{path}'"), format!("set search_path = {path}, gold")] {
        let error = client.simple_query(&text).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE), "{error:?}");
        client.simple_query("select 1").await.unwrap();
    }
}
