//! Accepts connections, bounds them, and lets them finish when the program stops.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::future::{Either, ready};
use hyper::{
    Request,
    body::Incoming,
    rt::{Read, Write},
    server::conn::http2,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Shared, door::Door};
use crate::{
    strangers::{Stranger, Strangers},
    threads::Threads,
};

/// A client that has not proved who it is by then is dropped.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long streams may go on after shutdown began: the program cuts off what is left after eight
/// seconds, and clients are to be told before.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long clients may take to hear that their stream was ended.
const FAREWELL: Duration = Duration::from_millis(500);

/// Pause after the operating system refused a socket, such as for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Calls of one client at a time. Tools open a connection for each of their threads.
const CALLS_MAX: u32 = 16;

/// Largest head of a call: a password or token, and what tools say of themselves.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// Largest message of a client: the values of a prepared statement are the largest that it sends.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// A client that does not answer to this is gone, though its socket may not know.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Serves clients until `shutdown` ends, then lets their streams end.
pub(super) async fn run(
    listener: TcpListener,
    shared: &Arc<Shared>,
    threads: &Threads,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (connections, kill) = (TaskTracker::new(), CancellationToken::new());
    {
        let accept = accept(listener, shared, threads, &connections, &kill);
        tokio::select! {
            () = shutdown => (),
            () = accept => (),
        }
    }
    shared.stopping.cancel();
    connections.close();
    tokio::select! {
        biased;
        () = connections.wait() => return,
        () = shared.clock.sleep(DRAIN_TIMEOUT) => (),
    }
    tracing::warn!(clients = connections.len(), "ending streams that outlived the shutdown");
    shared.aborting.cancel();
    tokio::select! {
        biased;
        () = connections.wait() => (),
        () = shared.clock.sleep(FAREWELL) => (),
    }
    kill.cancel();
}

/// Accepts connections for ever, each in a task of its own.
async fn accept(
    listener: TcpListener,
    shared: &Arc<Shared>,
    threads: &Threads,
    connections: &TaskTracker,
    kill: &CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(shared.config.connections_max));
    let strangers = Strangers::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // The semaphore is never closed.
                let Some(admitted) = strangers.admit(&slots, peer.ip()).await else { return };
                let (slot, stranger) = admitted;
                let (shared, kill) = (Arc::clone(shared), kill.clone());
                let client = async move {
                    let _slot = slot;
                    tokio::select! {
                        ended = attend(stream, peer, stranger, shared) => if let Err(error) = ended {
                            tracing::debug!(%peer, %error, "a Flight SQL connection broke");
                        },
                        () = kill.cancelled() => (),
                    }
                };
                connections.spawn_on(client, &threads.handle);
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a Flight SQL connection");
                shared.clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn attend(
    stream: TcpStream,
    peer: SocketAddr,
    stranger: Stranger,
    shared: Arc<Shared>,
) -> Result<(), Broken> {
    stream.set_nodelay(true)?;
    let clock = Arc::clone(&shared.clock);
    let known = stranger.known.clone();
    let logs_in = known.clone();
    let too_late = async move {
        tokio::select! {
            biased;
            () = logs_in.cancelled() => std::future::pending().await,
            () = clock.sleep(LOGIN_TIMEOUT) => (),
        }
    };
    let door = Door::new(Arc::clone(&shared), peer, known.clone());
    let served = async {
        match &shared.config.tls {
            None => serve(TokioIo::new(stream), door, &shared).await,
            Some(tls) => {
                let stream = tls.accept(stream).await?.stream;
                serve(TokioIo::new(stream), door, &shared).await
            }
        }
    };
    tokio::select! {
        biased;
        served = served => served,
        () = stranger.told_to_leave() => Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
        () = too_late => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

/// Serves one connection until it ends, or finishes its calls after the stop.
async fn serve(
    stream: impl Read + Write + Unpin,
    door: Door,
    shared: &Shared,
) -> Result<(), Broken> {
    let door = Arc::new(door);
    let calls = FlightServiceServer::from_arc(Arc::clone(&door))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let calls = TowerToHyperService::new(calls);
    let service =
        service_fn(move |mut request: Request<Incoming>| match door.admit(&mut request) {
            Ok(()) => Either::Left(calls.call(request)),
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .max_concurrent_streams(CALLS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(stream, service));
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = shared.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}
