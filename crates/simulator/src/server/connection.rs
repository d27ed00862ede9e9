//! Connections that can be cut: closed without an answer, or in the middle of one.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// What a handler holds of its connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Bytes that may still be written.
    budget: Arc<AtomicUsize>,
}

impl Connection {
    /// Lets `bytes` more bytes out, then breaks the connection.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.budget.store(bytes, Ordering::Relaxed);
    }
}

/// A listener whose connections can be cut.
#[derive(Debug)]
pub(crate) struct CuttableListener(pub(crate) TcpListener);

/// A stream that obeys its [`Connection`].
#[derive(Debug)]
pub(crate) struct CuttableStream {
    stream: TcpStream,
    connection: Connection,
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = ();

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // Of the two `accept` of this type, the one that waits out errors such as too many files.
        let (stream, _) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for the peer's delayed acknowledgement. Failing to ask
        // for it costs time only.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "setting nodelay");
        }
        let connection = Connection { budget: Arc::new(AtomicUsize::new(usize::MAX)) };
        (CuttableStream { stream, connection }, ())
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().connection.clone()
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let budget = self.connection.budget.load(Ordering::Relaxed);
        if budget == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let allowed = &bytes[..bytes.len().min(budget)];
        let written = Pin::new(&mut self.stream).poll_write(cx, allowed);
        if let Poll::Ready(Ok(count)) = written
            && budget != usize::MAX
        {
            self.connection.cut_after(budget - count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
