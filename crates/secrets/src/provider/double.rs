//! A small HTTPS server for tests: one handler, faults on demand, certificates of its own; and a
//! test that starts itself again, for what a process knows from its variables alone.

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::contract::Fault;

pub(crate) mod bench;
mod certificates;
pub(crate) mod log;

use certificates::{Authority, Flaw};

/// Longest wait of a client of the double for one answer.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);

/// A question as it arrived.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// The faults that are still to be shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Option<(Fault, usize)>>>);

impl Faults {
    pub(crate) fn set(&self, fault: Fault, times: usize) {
        *self.0.lock().unwrap() = Some((fault, times));
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn next(&self) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap();
        let (fault, times) = (*faults)?;
        *faults = if 1 < times { Some((fault, times - 1)) } else { None };
        Some(fault)
    }
}

/// Answers a question, as the service would with or without a fault.
pub(crate) type Handler = Arc<dyn Fn(&Asked, Option<Fault>) -> Answer + Send + Sync>;

/// A running server; dropping it ends it.
pub(crate) struct Double {
    pub(crate) url: String,
    pub(crate) faults: Faults,
    folder: tempfile::TempDir,
    task: JoinHandle<()>,
}

impl Double {
    /// Starts a server that its clients trust, or one with something wrong about its TLS.
    pub(crate) async fn start(handler: Handler, flaw: Option<Flaw>) -> Self {
        let authority = Authority::new("double");
        let acceptor = authority.acceptor(flaw);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let (port, faults, task) = listen(handler, move |stream, handler, faults| {
            let acceptor = acceptor.clone();
            async move {
                let Some(acceptor) = acceptor else {
                    return refuse_tls(stream).await;
                };
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, &handler, &faults).await;
                }
            }
        })
        .await;
        Self { url: format!("https://localhost:{port}"), faults, folder, task }
    }

    /// Starts a server that speaks http, as identity services on the machine itself do.
    pub(crate) async fn start_plain(handler: Handler) -> Self {
        let (port, faults, task) = listen(handler, |stream, handler, faults| async move {
            serve(stream, &handler, &faults).await;
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("http://127.0.0.1:{port}"), faults, folder, task }
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

/// Accepts connections on a free port and lets `answer` deal with each.
async fn listen<F, Fut>(handler: Handler, answer: F) -> (u16, Faults, JoinHandle<()>)
where
    F: Fn(TcpStream, Handler, Faults) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let faults = Faults::default();
    let shared = faults.clone();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&handler), shared.clone()));
        }
    });
    (port, faults, task)
}

/// Writes a file that its owner alone can read.
pub(crate) fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Set in a test process that a test started.
const AGAIN: &str = "MARKETLAKE_TEST_AGAIN";

/// Returns whether this process was started by [`run_again`].
pub(crate) fn is_again() -> bool {
    std::env::vars_os().any(|(variable, _)| variable == AGAIN)
}

/// Runs the test `name` (with its modules) in a process of its own, for a test may not change the
/// variables of its own process.
pub(crate) async fn run_again(name: &str, variables: &[(&str, &str)]) {
    // Whoever runs the tests may have credentials of their own.
    let is_foreign = |name: &str| ["AWS_", "AZURE_"].iter().any(|start| name.starts_with(start));
    let own = std::env::vars_os().filter(|(name, _)| !name.to_str().is_some_and(is_foreign));
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--include-ignored", "--exact", name])
        .env_clear()
        .envs(own)
        .env(AGAIN, "1")
        .envs(variables.iter().copied())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers a TLS handshake as a server does that speaks http only.
async fn refuse_tls(mut stream: TcpStream) {
    if stream.read_u8().await.is_ok() {
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        // The client may be gone already.
        stream.write_all(answer).await.ok();
    }
}

async fn serve<S>(mut stream: S, handler: &Handler, faults: &Faults)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(asked) = read(&mut stream).await {
        let fault = faults.next();
        let answer = match fault {
            // The client goes away first.
            Some(Fault::Slow) => return std::future::pending().await,
            Some(Fault::Cut) => return,
            Some(Fault::Redirected) => {
                let elsewhere = "https://localhost:1/stolen?cnry-query";
                Answer::json(302, &Value::Null).with("location", elsewhere)
            }
            Some(Fault::TooLarge) => {
                let body = "x".repeat(13 * super::VALUE_BYTES_MAX);
                Answer { status: 200, headers: Vec::new(), body }
            }
            Some(Fault::Garbage) => {
                let body = "<html>cnry-body</html>".to_owned();
                Answer { status: 200, headers: Vec::new(), body }
            }
            Some(Fault::Forbidden | Fault::Throttled | Fault::Unavailable) | None => {
                handler(&asked, fault)
            }
        };
        let mut text = format!("HTTP/1.1 {} x\r\n", answer.status);
        for (name, value) in &answer.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{}", answer.body.len(), answer.body));
        if stream.write_all(text.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap_or(0));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let url = url::Url::parse(&format!("http://double{target}")).ok()?;
    let query = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
    Some(Asked { method, path: url.path().to_owned(), query: query.collect(), headers, body })
}
