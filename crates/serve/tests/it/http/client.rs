//! A small HTTP client that sends exactly what a test says, wrong hosts included.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// Longest wait for anything a server should do at once.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// Whether the answer had its end.
    pub(super) is_whole: bool,
}

impl Reply {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The code and the message of a refusal.
    #[track_caller]
    pub(super) fn error(&self) -> (String, String) {
        let error = &self.json()["error"];
        let text = |field: &str| error[field].as_str().unwrap().to_owned();
        (text("code"), text("message"))
    }
}

pub(super) async fn get(server: SocketAddr, path: &str) -> Reply {
    send(server, &format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n")).await
}

/// Sends `body` as JSON.
pub(super) async fn post(server: SocketAddr, path: &str, body: &Value) -> Reply {
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/json\r\n");
    send_body(server, &head, &body.to_string()).await
}

/// Sends `head`, which lacks only its last empty line, and reads the whole answer.
pub(super) async fn send(server: SocketAddr, head: &str) -> Reply {
    exchange(server, &format!("{head}Connection: close\r\n\r\n")).await
}

/// The same with a body.
pub(super) async fn send_body(server: SocketAddr, head: &str, body: &str) -> Reply {
    let length = body.len();
    let fields = format!("Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    exchange(server, &format!("{head}{fields}")).await
}

async fn exchange(server: SocketAddr, request: &str) -> Reply {
    let exchange = async {
        let mut connection = connect(server, request).await;
        let (status, headers) = read_head(&mut connection).await;
        let mut reply = Reply { status, headers, body: String::new(), is_whole: true };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.is_whole = loop {
                match read_chunk(&mut connection).await {
                    Some(chunk) if chunk.is_empty() => break true,
                    Some(chunk) => reply.body.push_str(&chunk),
                    None => break false,
                }
            };
        } else {
            connection.read_to_string(&mut reply.body).await.unwrap();
        }
        reply
    };
    timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("no answer to {request}"))
}

async fn connect(server: SocketAddr, request: &str) -> BufReader<TcpStream> {
    let mut connection = TcpStream::connect(server).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    BufReader::new(connection)
}

async fn read_head(connection: &mut BufReader<TcpStream>) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    connection.read_line(&mut line).await.unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
    let mut headers = Vec::new();
    loop {
        line.clear();
        connection.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            return (status, headers);
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

/// The last chunk is empty; `None` means that the connection ended before it.
async fn read_chunk(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
    let mut chunk = vec![0; length + 2];
    connection.read_exact(&mut chunk).await.ok()?;
    chunk.truncate(length);
    Some(String::from_utf8(chunk).unwrap())
}

/// One server-sent event; a comment has no `event`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) event: String,
    pub(super) id: String,
    pub(super) data: String,
}

/// An open event stream.
#[derive(Debug)]
pub(super) struct Events {
    connection: BufReader<TcpStream>,
    text: String,
}

impl Events {
    /// Opens a stream, which has to be accepted, and waits for its greeting.
    pub(super) async fn open(
        server: SocketAddr,
        path: &str,
        last_id: Option<&str>,
    ) -> (Self, Event) {
        let last_id = last_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{last_id}\r\n");
        let mut connection = connect(server, &request).await;
        let (status, headers) = timeout(PATIENCE, read_head(&mut connection)).await.unwrap();
        assert_eq!(status, 200, "{headers:?}");
        let kind = headers.iter().find(|(name, _)| name == "content-type").unwrap();
        assert_eq!(kind.1, "text/event-stream");
        let mut events = Self { connection, text: String::new() };
        let greeting = events.next().await.unwrap();
        assert_eq!(greeting.event, "", "the first thing is a comment with an id");
        (events, greeting)
    }

    /// Returns the next event or comment; `None` when the server ended the stream.
    pub(super) async fn next(&mut self) -> Option<Event> {
        let next = async {
            while !self.text.contains("\n\n") {
                let chunk = read_chunk(&mut self.connection).await?;
                self.text.push_str(Some(chunk).filter(|chunk| !chunk.is_empty())?.as_str());
            }
            let (block, rest) = self.text.split_once("\n\n")?;
            let mut event = Event::default();
            for line in block.lines() {
                match line.split_once(':').unwrap() {
                    ("event", value) => event.event = value.trim_start().to_owned(),
                    ("id", value) => event.id = value.trim_start().to_owned(),
                    ("data", value) => event.data = value.trim_start().to_owned(),
                    _ => (),
                }
            }
            self.text = rest.to_owned();
            Some(event)
        };
        timeout(PATIENCE, next).await.expect("an event in time")
    }

    /// Returns the ids of the next `count` events of bars.
    pub(super) async fn bar_ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let event = self.next().await.expect("the stream goes on");
            if event.event == "bar" {
                ids.push(event.id);
            } else {
                assert_eq!(event.event, "", "only comments in between: {event:?}");
            }
        }
        ids
    }
}
