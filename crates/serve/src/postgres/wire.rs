//! One socket: bytes in, messages out, with bounds on both sides.
//!
//! Reading and writing are separate halves, so that a running statement can be written while
//! the other half watches whether the client is still there. Every method may be dropped at any
//! await and continued later: nothing is lost, nothing is sent twice.

use std::io;

use bytes::{Buf as _, BytesMut};
use pgwire::messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::failure::Failure;

pub(super) mod frame;

/// PostgreSQL's own limit for a startup packet; also enough for every SASL message.
const LOGIN_MESSAGE_BYTES_MAX: usize = 10_000;

/// The statement text is bounded to 256 KiB elsewhere; the rest is room for bound parameters.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Rows are handed to the kernel in pieces of this size: large enough that the system call does
/// not show, small enough that a slow reader holds little memory.
const OUTBOX_BYTES: usize = 64 * 1024;

/// What a client may send ahead while a statement runs; the rest waits in the kernel.
const INBOX_BYTES: usize = 64 * 1024;

pub(super) struct Input {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
    context: DecodeContext,
    bytes_max: usize,
}

pub(super) struct Output {
    stream: Box<dyn AsyncWrite + Send + Unpin>,
    buffer: BytesMut,
    /// The last message is in the buffer: a client that missed one cannot follow any more.
    has_ended: bool,
}

/// The two halves of a connection on which `head` was read already, with TLS around it or not.
pub(super) fn halves(
    read: impl AsyncRead + Send + Unpin + 'static,
    write: impl AsyncWrite + Send + Unpin + 'static,
    head: &[u8],
) -> (Input, Output) {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    buffer.extend_from_slice(head);
    let mut context = DecodeContext::default();
    context.awaiting_frontend_ssl = false;
    let input =
        Input { stream: Box::new(read), buffer, context, bytes_max: LOGIN_MESSAGE_BYTES_MAX };
    let buffer = BytesMut::with_capacity(OUTBOX_BYTES);
    let output = Output { stream: Box::new(write), buffer, has_ended: false };
    (input, output)
}

impl Input {
    /// Waits for the next message; `None` when the client has closed the connection.
    ///
    /// # Errors
    /// `InvalidData` for bytes that are no message within the bounds, else the socket's error.
    pub(super) async fn next(&mut self) -> io::Result<Option<PgWireFrontendMessage>> {
        loop {
            if let Some(message) = self.decode()? {
                return Ok(Some(message));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Takes a message out of the buffer if there is a whole one.
    ///
    /// The decoder sees that message only and never the bytes behind it, and only after its shape
    /// was checked.
    fn decode(&mut self) -> io::Result<Option<PgWireFrontendMessage>> {
        let Some(length) = self.check_length()? else { return Ok(None) };
        let type_bytes = usize::from(!self.context.awaiting_frontend_startup);
        if self.buffer.len() < type_bytes + length {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(type_bytes + length);
        let is_well_formed = if type_bytes == 0 {
            // Length and version, or length and what it is instead of a version.
            length >= 8
        } else {
            frame::is_well_formed(frame[0], &frame[5..])
        };
        if !is_well_formed {
            return Err(invalid("malformed message"));
        }
        let decoded = PgWireFrontendMessage::decode(&mut frame, &self.context);
        match decoded.map_err(|error| invalid(&error.to_string()))? {
            Some(message) if frame.is_empty() => Ok(Some(message)),
            _ => Err(invalid("malformed message")),
        }
    }

    /// Reads the length field of the message that has begun, and refuses an oversized message by
    /// it, before its bytes are collected.
    fn check_length(&self) -> io::Result<Option<usize>> {
        let offset = usize::from(!self.context.awaiting_frontend_startup);
        let Some(field) = self.buffer.get(offset..offset + 4) else { return Ok(None) };
        let length = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
        match usize::try_from(length) {
            Ok(length) if (4..=self.bytes_max).contains(&length) => Ok(Some(length)),
            _ => Err(invalid("message length is out of bounds")),
        }
    }

    /// From now on messages have a type byte.
    pub(super) fn expect_messages(&mut self) {
        self.context.awaiting_frontend_startup = false;
    }

    /// From now on messages may be as long as statements are.
    pub(super) fn allow_long_messages(&mut self) {
        self.bytes_max = MESSAGE_BYTES_MAX;
    }

    /// Ends when the client has gone; never ends while it is there. What it sends ahead is kept.
    pub(super) async fn closed(&mut self) {
        // With TLS around it, a socket does not tell its end without being read.
        while self.buffer.len() < INBOX_BYTES {
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => (),
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Output {
    /// Adds a message to the buffer; it leaves with the next flush.
    ///
    /// A message beyond the protocol's bounds becomes the last one, as an error: the client is
    /// told, and the next flush fails.
    pub(super) fn push(&mut self, message: &PgWireBackendMessage) {
        if self.has_ended {
            return;
        }
        // Encoding writes the type before it finds out that the rest does not fit.
        let start = self.buffer.len();
        if let Err(error) = message.encode(&mut self.buffer) {
            tracing::error!(error = &error as &dyn std::error::Error, "encoding a message");
            self.buffer.truncate(start);
            self.has_ended = true;
            let failure = Failure::fatal("54000", "an answer is longer than the protocol allows");
            let last = PgWireBackendMessage::ErrorResponse(failure.into_response());
            if last.encode(&mut self.buffer).is_err() {
                self.buffer.truncate(start);
            }
        }
    }

    /// Adds what `write` appends, which must be whole messages.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut BytesMut)) {
        if !self.has_ended {
            write(&mut self.buffer);
        }
    }

    /// True when it is time to flush, lest a client that only sends fills the memory.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= OUTBOX_BYTES
    }

    /// Hands everything to the kernel.
    ///
    /// # Errors
    /// The socket's error, or `InvalidInput` after a message that could not be sent.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while self.buffer.has_remaining() {
            self.stream.write_buf(&mut self.buffer).await?;
        }
        self.stream.flush().await?;
        if self.has_ended { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }

    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}

#[cfg(test)]
mod tests {
    use pgwire::messages::{response::EmptyQueryResponse, startup::ParameterStatus};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_message_that_cannot_be_sent_is_the_last_and_leaves_no_part_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap());
        let (accepted, peer) = tokio::join!(listener.accept(), peer);
        let (read, write) = accepted.unwrap().0.into_split();
        let (_, mut output) = halves(read, write, &[]);
        let mut peer = peer.unwrap();

        let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
        output.push(&empty);
        let long = ParameterStatus::new("search_path".to_owned(), "x".repeat(40_000));
        output.push(&PgWireBackendMessage::ParameterStatus(long));
        output.push(&empty);
        output.append(|buffer| buffer.extend_from_slice(b"D"));
        assert_eq!(output.close().await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        drop(output);

        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent[..6], *b"I\0\0\0\x04E");
        let length = u32::from_be_bytes([sent[6], sent[7], sent[8], sent[9]]);
        assert_eq!(sent.len(), 6 + usize::try_from(length).unwrap(), "nothing follows");
        assert!(sent.windows(6).any(|part| part == b"C54000"), "{sent:?}");
    }
}
