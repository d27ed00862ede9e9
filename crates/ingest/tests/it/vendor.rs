//! A scripted HTTP server on this machine: answers each request with the next response given.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A whole response.
    Response { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Announces `body` whole, sends half of it and closes.
    Truncated { body: Vec<u8> },
    /// Closes without a word.
    Reset,
    /// Rows of the window, as the vendor pages them.
    Rows(Vec<String>),
}

impl Answer {
    pub(crate) fn ok(body: &str) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::Response { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        match self {
            Self::Response { status, mut headers, body } => {
                headers.push((name.to_owned(), value.to_owned()));
                Self::Response { status, headers, body }
            }
            other => other,
        }
    }
}

/// The server; it stops when dropped.
pub(crate) struct Vendor {
    pub(crate) base_url: String,
    script: Arc<Mutex<VecDeque<Answer>>>,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Vendor {
    /// Starts a server that gives `answers` in order and repeats the last one.
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v2", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(VecDeque::from(answers)));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (task_script, task_heads) = (Arc::clone(&script), Arc::clone(&heads));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One request per connection keeps the order of the script.
                serve(stream, &task_script, &task_heads).await;
            }
        });
        Self { base_url, script, heads, task }
    }

    /// Returns the request heads so far: request line and headers.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Returns how many answers are left.
    pub(crate) fn answers_left(&self) -> usize {
        self.script.lock().unwrap().len()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &Mutex<VecDeque<Answer>>,
    heads: &Mutex<Vec<String>>,
) {
    let mut head = Vec::new();
    let mut part = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(read) if read != 0 && head.len() < 1 << 20 => head.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let answer = {
        let mut script = script.lock().unwrap();
        if script.len() == 1 { script.front().cloned() } else { script.pop_front() }
    };
    heads.lock().unwrap().push(head.clone());
    let bytes = match answer.expect("a script is never empty") {
        Answer::Response { status, headers, body } => response(status, &headers, &body, body.len()),
        Answer::Truncated { body } => response(200, &[], &body[..body.len() / 2], body.len()),
        Answer::Reset => return,
        Answer::Rows(rows) => {
            let body = page(&rows, number(&head, "offset"), number(&head, "limit"));
            response(200, &[], body.as_bytes(), body.len())
        }
    };
    // A client that gave up is its own affair.
    if stream.write_all(&bytes).await.is_ok() {
        stream.shutdown().await.unwrap_or_default();
    }
}

fn response(status: u16, headers: &[(String, String)], body: &[u8], length: usize) -> Vec<u8> {
    let mut head =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Returns the number in the request's query.
fn number(head: &str, name: &str) -> usize {
    let (_, rest) = head.split_once(&format!("{name}=")).unwrap();
    rest.split(|found: char| !found.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Returns the vendor's page of `rows`.
pub(crate) fn page(rows: &[String], offset: usize, limit: usize) -> String {
    let total = rows.len();
    let shown: Vec<&str> = rows.iter().skip(offset).take(limit).map(String::as_str).collect();
    format!(
        r#"{{"pagination":{{"limit":{limit},"offset":{offset},"count":{},"total":{total}}},"data":[{}]}}"#,
        shown.len(),
        shown.join(", ")
    )
}
