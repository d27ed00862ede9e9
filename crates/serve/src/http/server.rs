//! Accepts connections, with TLS or without, bounds them, and lets them finish when the program stops.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    rt::{Read, Write},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use model::Clock;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    HttpConfig, Services,
    login::{Known, Link},
    router_until,
};
use crate::{Error, strangers::Strangers, tls::Tls};

const PROTOCOL: &str = "HTTP";

/// Most open connections: all streams, and a browser's six for as many people again.
const CONNECTIONS_MAX: usize = 256;
/// A client that takes longer to send a request's head, or to send another request, is gone.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that has not settled its encryption by then is gone.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
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
/// Other machines could reach the address and there is no TLS, or it is taken.
pub async fn bind(config: &HttpConfig) -> Result<TcpListener, Error> {
    refuse_exposed(config, config.bind)?;
    TcpListener::bind(config.bind).await.map_err(|source| Error::Listen {
        protocol: PROTOCOL,
        bind: config.bind,
        source,
    })
}

fn refuse_exposed(config: &HttpConfig, bind: SocketAddr) -> Result<(), Error> {
    if bind.ip().is_loopback() || config.tls.is_some() {
        Ok(())
    } else {
        Err(Error::Exposed { protocol: PROTOCOL, bind, section: "http.tls" })
    }
}

/// Other machines are never let in without a login, whatever the settings say.
pub(super) const fn is_login_required(config: &HttpConfig, bound: SocketAddr) -> bool {
    config.login || !bound.ip().is_loopback()
}

/// Serves until `shutdown` ends, then lets open requests finish; event streams are ended, and
/// their clients come back with the id they have reached.
///
/// # Errors
/// Other machines could reach `listener` and there is no TLS.
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
    refuse_exposed(config, bound)?;
    let (tls, login) = (config.tls.is_some(), is_login_required(config, bound));
    tracing::info!(%bound, tls, login, "serving HTTP");
    let clock = Arc::clone(&services.clock);
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    let way = Way {
        tls: config.tls.clone(),
        router: router_until(config, login, services, stop.clone()),
        clock: Arc::clone(&clock),
        stop: stop.clone(),
        kill: kill.clone(),
    };
    let connections = TaskTracker::new();
    {
        let accept = accept(listener, &way, &connections);
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

/// What every connection is handled with.
#[derive(Clone)]
struct Way {
    tls: Option<Arc<Tls>>,
    router: Router,
    clock: Arc<dyn Clock>,
    /// No further requests.
    stop: CancellationToken,
    /// No further waiting for those that there are.
    kill: CancellationToken,
}

/// Accepts connections for ever, each in a task of its own.
async fn accept(listener: TcpListener, way: &Way, connections: &TaskTracker) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let strangers = Strangers::default();
    loop {
        match listener.accept().await {
            Ok((connection, peer)) => {
                // The semaphore is never closed.
                let Some(admitted) = strangers.admit(&slots, peer.ip()).await else { return };
                let (slot, stranger) = admitted;
                let way = way.clone();
                connections.spawn(async move {
                    let _slot = slot;
                    let known = Known(stranger.known.clone());
                    tokio::select! {
                        () = way.welcome(connection, peer.ip(), known) => (),
                        () = stranger.told_to_leave() => (),
                    }
                });
            }
            Err(error) if is_of_the_peer(&error) => (),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "accepting a connection");
                way.clock.sleep(ACCEPT_PAUSE).await;
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

impl Way {
    /// Settles the encryption, and serves the connection.
    async fn welcome(self, connection: TcpStream, peer: IpAddr, known: Known) {
        // Events are small and each should leave at once.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(error = &error as &dyn std::error::Error, "setting TCP_NODELAY");
        }
        // A socket for both families shows addresses of the older one in the clothes of the newer.
        let address = peer.to_canonical();
        let Some(tls) = self.tls.clone() else {
            let link = Link { address, is_encrypted: false };
            return self.serve(TokioIo::new(connection), link, known).await;
        };
        let link = Link { address, is_encrypted: true };
        let shaken = tokio::select! {
            shaken = tls.accept(connection) => shaken,
            () = self.clock.sleep(HANDSHAKE_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
            () = self.stop.cancelled() => return,
        };
        match shaken {
            Ok(encrypted) => self.serve(TokioIo::new(encrypted.stream), link, known).await,
            // Whoever speaks plain HTTP to this port, or does not know the certificate.
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a TLS handshake");
            }
        }
    }

    /// Serves one connection until it ends, finishes its request after the stop, or is cut.
    async fn serve(self, connection: impl Read + Write + Unpin, link: Link, known: Known) {
        let Self { router, stop, kill, .. } = self;
        let routes = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(link);
            request.extensions_mut().insert(known.clone());
            routes.call(request)
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(connection, service)
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
    }
}
