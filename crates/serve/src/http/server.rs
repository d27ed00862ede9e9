//! Accepts connections, bounds them, and lets them finish when the program stops.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use model::Clock;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{HttpConfig, Services, router_until};
use crate::Error;

const PROTOCOL: &str = "HTTP";

/// Most open connections: all streams, and a browser's six for as many people again.
const CONNECTIONS_MAX: usize = 256;
/// A client that takes longer to send a request's head, or to send another request, is gone.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request head; the longest list of symbols has 7 KiB.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long open requests may take to finish after the stop: the program cuts off what is left
/// after eight seconds.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);
/// Pause after a failed accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Listens on the configured address.
///
/// # Errors
/// The address is not a loopback address, or is taken.
pub async fn bind(config: &HttpConfig) -> Result<TcpListener, Error> {
    if !config.bind.ip().is_loopback() {
        return Err(Error::Exposed { protocol: PROTOCOL, bind: config.bind });
    }
    TcpListener::bind(config.bind).await.map_err(|source| Error::Listen {
        protocol: PROTOCOL,
        bind: config.bind,
        source,
    })
}

/// Serves until `shutdown` ends, then lets open requests finish; event streams are ended, and
/// their clients come back with the id they have reached.
///
/// # Errors
/// `listener` is not on a loopback address.
pub async fn serve(
    listener: TcpListener,
    config: &HttpConfig,
    services: Services,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let bound = listener.local_addr().map_err(|source| Error::Listen {
        protocol: PROTOCOL,
        bind: config.bind,
        source,
    })?;
    if !bound.ip().is_loopback() {
        return Err(Error::Exposed { protocol: PROTOCOL, bind: bound });
    }
    tracing::info!(%bound, "serving HTTP");
    let clock = Arc::clone(&services.clock);
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    let router = router_until(config, services, stop.clone());
    let connections = TaskTracker::new();
    {
        let accept = accept(listener, &router, &clock, &connections, (&stop, &kill));
        tokio::select! {
            () = shutdown => (),
            () = accept => (),
        }
    }
    stop.cancel();
    connections.close();
    tokio::select! {
        biased;
        () = connections.wait() => (),
        () = clock.sleep(DRAIN_TIMEOUT) => {
            tracing::warn!(open = connections.len(), "closing connections that did not finish");
        }
    }
    kill.cancel();
    Ok(())
}

/// Accepts connections for ever, each in a task of its own.
async fn accept(
    listener: TcpListener,
    router: &Router,
    clock: &Arc<dyn Clock>,
    connections: &TaskTracker,
    (stop, kill): (&CancellationToken, &CancellationToken),
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match listener.accept().await {
            Ok((connection, _)) => {
                let router = router.clone();
                let (stop, kill) = (stop.clone(), kill.clone());
                connections.spawn(handle(connection, router, slot, stop, kill));
            }
            Err(error) if is_of_the_peer(&error) => (),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "accepting a connection");
                clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the client gave up before it was accepted, which says nothing about the next one.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Serves one connection until it ends, finishes its request after `stop`, or is cut by `kill`.
async fn handle(
    connection: TcpStream,
    router: Router,
    slot: OwnedSemaphorePermit,
    stop: CancellationToken,
    kill: CancellationToken,
) {
    // Events are small and each should leave at once.
    if let Err(error) = connection.set_nodelay(true) {
        tracing::debug!(error = &error as &dyn std::error::Error, "setting TCP_NODELAY");
    }
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = kill.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        // A client that went away in the middle is no concern of an operator.
        tracing::debug!(error = &error as &dyn std::error::Error, "serving a connection");
    }
    drop(slot);
}
