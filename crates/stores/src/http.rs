//! The little of HTTP/1.1 that a proxy and a double need: one message in, the same message out.

use std::{io, sync::Arc, time::Duration};

use model::Clock;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

#[cfg(test)]
mod tests;

/// Request line and headers together. S3 allows 8 KiB of them, Azure about 16 KiB.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// The body of one message: the largest object that the pipeline writes in one piece.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Connections served at once. More than any test opens; a client beyond it waits.
pub(crate) const CONNECTIONS_MAX: usize = 256;

/// The wait after a connection that could not be accepted. Where that is for want of file handles,
/// trying again at once would take a core and help nobody.
const ACCEPT_WAIT: Duration = Duration::from_millis(50);

/// Runs something until it ends, or whoever can send to `stop` is dropped.
pub(crate) fn run(mut stop: watch::Receiver<()>, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tokio::select! {
            // Nothing is ever sent: this is the sender's end.
            _ = stop.changed() => (),
            () = work => (),
        }
    });
}

/// Serves each connection that comes, until whoever can send to `stop` is dropped.
pub(crate) fn listen<S: Future<Output = io::Result<()>> + Send>(
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<()>,
    serve: impl Fn(TcpStream) -> S + Clone + Send + Sync + 'static,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    run(stop.clone(), async move {
        while let Ok(permit) = Arc::clone(&connections).acquire_owned().await {
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    clock.sleep(ACCEPT_WAIT).await;
                    continue;
                }
            };
            let serve = serve.clone();
            run(stop.clone(), async move {
                if let Err(error) = talk(socket, serve).await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(permit);
            });
        }
    });
}

async fn talk<S: Future<Output = io::Result<()>>>(
    socket: TcpStream,
    serve: impl Fn(TcpStream) -> S,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    serve(socket).await
}

/// A request or a response, its body whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line, or the status line.
    pub(crate) start: String,
    /// The header lines as they came, except that a body sent in chunks has a length.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Returns the method of a request; of a response, its protocol.
    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// Returns path and query of a request.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    fn status(&self) -> u16 {
        self.target().parse().unwrap_or_default()
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// Returns the value of the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns whether the other side closes the connection after this message.
    pub(crate) fn ends_connection(&self) -> bool {
        self.start.starts_with("HTTP/1.0")
            || self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Returns the message with more header lines.
    pub(crate) fn with(mut self, headers: impl IntoIterator<Item = String>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Returns the message as it goes over the wire.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1_024 + self.body.len());
        for line in std::iter::once(&self.start).chain(&self.headers) {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Says how long the body is, instead of how it came.
    fn set_length(&mut self) {
        let framing = ["content-length", "transfer-encoding", "trailer"];
        self.headers.retain(|line| {
            let name = line.split(':').next().unwrap_or_default();
            framing.iter().all(|other| !name.eq_ignore_ascii_case(other))
        });
        self.headers.push(format!("Content-Length: {}", self.body.len()));
    }
}

/// Returns a response of our own.
pub(crate) fn response(status: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Message {
    let body = body.into();
    Message {
        start: format!("HTTP/1.1 {status}"),
        headers: vec![
            format!("Content-Type: {content_type}"),
            format!("Content-Length: {}", body.len()),
        ],
        body,
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// How a body is told from what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    /// Until the connection ends: a response that says nothing about its length.
    Open,
}

fn framing(head: &Message) -> io::Result<Framing> {
    match (head.header("transfer-encoding"), head.header("content-length")) {
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        // Two lengths are how requests are smuggled past a proxy.
        (Some(_), _) => Err(invalid("a transfer encoding other than chunked")),
        (None, Some(length)) => {
            Ok(Framing::Length(length.parse().map_err(|_| invalid("a length that is no number"))?))
        }
        (None, None) => Ok(Framing::Open),
    }
}

/// Reads messages from one connection.
pub(crate) struct Reader<'a, R> {
    from: &'a mut R,
}

impl<'a, R: AsyncBufRead + Unpin> Reader<'a, R> {
    pub(crate) fn new(from: &'a mut R) -> Self {
        Self { from }
    }

    /// Reads a request; `None` when the client has closed the connection instead.
    pub(crate) async fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(mut request) = self.head().await? else { return Ok(None) };
        match framing(&request)? {
            Framing::Length(length) => request.body = self.exactly(length).await?,
            Framing::Chunked => {
                request.body = self.chunks().await?;
                request.set_length();
            }
            Framing::Open => (),
        }
        Ok(Some(request))
    }

    /// Reads the response to a request with this method.
    pub(crate) async fn response(&mut self, method: &str) -> io::Result<Message> {
        loop {
            let Some(mut response) = self.head().await? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            match response.status() {
                100..200 => continue,
                204 | 304 => return Ok(response),
                _ if method == "HEAD" => return Ok(response),
                _ => (),
            }
            match framing(&response)? {
                Framing::Length(length) => response.body = self.exactly(length).await?,
                Framing::Chunked => {
                    response.body = self.chunks().await?;
                    response.set_length();
                }
                Framing::Open => {
                    let mut rest = (&mut *self.from).take(BODY_BYTES_MAX + 1);
                    rest.read_to_end(&mut response.body).await?;
                    if rest.limit() == 0 {
                        return Err(invalid("a body that is too long"));
                    }
                    response.set_length();
                    response.headers.push("Connection: close".to_owned());
                }
            }
            return Ok(response);
        }
    }

    async fn head(&mut self) -> io::Result<Option<Message>> {
        // A method or a protocol. TLS begins with a byte that is no letter, and has no lines to wait
        // for.
        if self.from.fill_buf().await?.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            return Err(invalid("what comes is not HTTP"));
        }
        let mut limited = (&mut *self.from).take(HEAD_BYTES_MAX);
        let Some(start) = line(&mut limited).await? else { return Ok(None) };
        let mut headers = Vec::new();
        loop {
            match line(&mut limited).await? {
                Some(line) if line.is_empty() => break,
                Some(line) => headers.push(line),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(Some(Message { start, headers, body: Vec::new() }))
    }

    async fn exactly(&mut self, length: u64) -> io::Result<Vec<u8>> {
        if BODY_BYTES_MAX < length {
            return Err(invalid("a body that is too long"));
        }
        let mut body = Vec::new();
        (&mut *self.from).take(length).read_to_end(&mut body).await?;
        if u64::try_from(body.len()).is_ok_and(|read| read == length) {
            Ok(body)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        // Each round reads a byte at least, and all of them together stay below both limits.
        let mut left = BODY_BYTES_MAX;
        loop {
            let size = self.short_line().await?;
            let digits = size.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| invalid("a chunk's size"))?;
            if size == 0 {
                break;
            }
            left = left.checked_sub(size).ok_or_else(|| invalid("a body that is too long"))?;
            body.extend(self.exactly(size).await?);
            if !self.short_line().await?.is_empty() {
                return Err(invalid("a chunk that is longer than its size"));
            }
        }
        let mut trailers = (&mut *self.from).take(HEAD_BYTES_MAX);
        while let Some(line) = line(&mut trailers).await? {
            if line.is_empty() {
                return Ok(body);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    async fn short_line(&mut self) -> io::Result<String> {
        let mut limited = (&mut *self.from).take(HEAD_BYTES_MAX);
        line(&mut limited).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Reads a line without its end; `None` at the end of the connection, or of what may be read.
async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map(Some).map_err(|_| invalid("a header that is not text"))
}
