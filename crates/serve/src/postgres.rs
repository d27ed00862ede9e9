//! The PostgreSQL door: psql, drivers and BI tools read the lake as database `marketlake`.
//!
//! pgwire gives the messages; everything from the socket to the answer is here, because each step
//! has a rule of its own:
//!
//! ```text
//! accept ─▶ TLS, startup, SCRAM ─▶ connection loop ─▶ statement gate ─┬▶ connection's own commands
//!   bound     from other machines    one statement       read-only,    └▶ rewrite ─▶ catalog ─▶ engine
//!   slots     never in the clear     at a time           deny by default             one snapshot
//! ```

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use model::Clock;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    audit::Audit,
    strangers::{Stranger, Strangers},
    threads::Threads,
    tls::Tls,
};

mod cancel;
mod catalog;
mod connection;
mod encode;
mod engine;
mod failure;
mod interval;
mod negotiation;
mod parameters;
mod queries;
mod rewrite;
mod roles;
mod rows;
mod scram;
mod settings;
mod startup;
mod statement;
mod throttle;
mod types;
mod verifier;
mod wire;
mod zone;

pub(crate) use engine::arrow;
pub(crate) use failure::Failure;
pub use lake::Grants;
pub use queries::QueryLimits;
pub(crate) use queries::{Batch, Opened, Queries, Refused};
pub(crate) use roles::{Bounds, Standing, Standings};
pub use roles::{Limits, Role, Users};
pub(crate) use scram::verifier_or_mock;
pub use settings::DATABASE;
pub(crate) use startup::{MUST_WAIT, NAME_CHARACTERS_MAX, WRONG_PASSWORD};
pub(crate) use statement::Fingerprint;
pub(crate) use throttle::{Throttle, network};
pub(crate) use verifier::hmac_sha256;
pub use verifier::{ITERATIONS, Verifier};

/// What the audit calls this server.
const DOOR: &str = "postgres";

/// A client that has not proved who it is by then is dropped.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long running statements may go on after shutdown began: the program cuts off what is left
/// after eight seconds, and clients are to be told before.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Sockets that are logging in, beyond the connections themselves. Cancel requests come this
/// way, so there must be room for them when all slots are taken.
const LOGINS_MAX: usize = 32;

/// Pause after the operating system refused a socket, such as for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A client that does not take its answer for so long is cut off.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of the server.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// Where to listen; must be a loopback address where there is no TLS.
    pub bind: SocketAddr,
    /// The certificate. Clients of other machines have to use it.
    pub tls: Option<Arc<Tls>>,
    /// Clients of this machine have to use it, too.
    pub tls_required: bool,
    /// Most clients at a time. One more is told `53300`, after it has proved who it is.
    pub connections_max: usize,
    /// Longest run of one statement. Clients can lower it for themselves, never lift it.
    pub statement_timeout: Duration,
    /// Most rows of one result; beyond it the statement fails with `54000`.
    pub rows_max: u64,
    /// Who keeps the audit, if anybody does.
    pub audit: Option<Arc<dyn Audit>>,
}

impl PostgresConfig {
    /// Opens the port.
    ///
    /// # Errors
    /// Other machines could reach the address and there is no TLS, or it is taken.
    pub async fn listen(&self) -> Result<TcpListener, Error> {
        self.refuse_exposed(self.bind)?;
        TcpListener::bind(self.bind).await.map_err(|source| Error::Listen {
            protocol: "PostgreSQL",
            bind: self.bind,
            source,
        })
    }

    const fn bounds(&self) -> Bounds {
        let Self { connections_max, statement_timeout, rows_max, .. } = *self;
        Bounds { connections_max, statement_timeout, rows_max }
    }

    fn refuse_exposed(&self, bind: SocketAddr) -> Result<(), Error> {
        if bind.ip().is_loopback() || self.tls.is_some() {
            Ok(())
        } else {
            Err(Error::Exposed { protocol: "PostgreSQL", bind, section: "postgres.tls" })
        }
    }
}

/// What all connections share.
struct Shared {
    config: PostgresConfig,
    users: Users,
    standings: Standings,
    clock: Arc<dyn Clock>,
    cancels: Arc<cancel::Cancels>,
    slots: Arc<Semaphore>,
    throttle: Mutex<Throttle>,
    strangers: Strangers,
    /// Makes up salts for users that do not exist.
    mock_key: [u8; 32],
    /// No new statements.
    stopping: CancellationToken,
    /// Running statements end too.
    aborting: CancellationToken,
    /// Where statements are worked out.
    engine: Handle,
}

/// Why work for a client ended early.
enum Stop {
    /// The client is told.
    Failed(Failure),
    /// There is nobody to tell.
    Gone(io::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Serves clients until `shutdown` ends; then idle ones are told goodbye, and running statements
/// get five seconds.
///
/// # Errors
/// Other machines could reach the listener and there is no TLS, or there are no threads to be had.
pub async fn serve(
    listener: TcpListener,
    config: PostgresConfig,
    users: Users,
    reader: lake::Reader,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let bind = config.bind;
    let local = listener.local_addr().map_err(|source| Error::Listen {
        protocol: "PostgreSQL",
        bind,
        source,
    })?;
    config.refuse_exposed(local)?;
    tracing::info!(%local, "serving PostgreSQL");
    let threads = Threads::start("marketlake-sql", "PostgreSQL")?;
    let engine = Threads::start("marketlake-engine", "PostgreSQL")?;
    let shared = Arc::new(Shared {
        slots: Arc::new(Semaphore::new(config.connections_max)),
        standings: users.standings(config.bounds(), &reader),
        config,
        users,
        clock,
        cancels: Arc::default(),
        throttle: Mutex::default(),
        strangers: Strangers::default(),
        mock_key: rand::random(),
        stopping: CancellationToken::new(),
        aborting: CancellationToken::new(),
        engine: engine.handle.clone(),
    });
    let mut clients = JoinSet::new();
    accept(&listener, &shared, &threads, &mut clients, shutdown).await;
    drop(listener);
    drain(&shared, &mut clients).await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    threads: &Threads,
    clients: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let sockets_max = shared.config.connections_max.saturating_add(LOGINS_MAX);
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            Some(ended) = clients.join_next(), if !clients.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task died");
                }
            }
            // One more than there is room for, to know that somebody has to make some.
            accepted = listener.accept(), if clients.len() <= sockets_max => match accepted {
                Ok((stream, peer)) => {
                    if clients.len() == sockets_max {
                        shared.strangers.make_room();
                    }
                    let stranger = shared.strangers.enter(peer.ip());
                    let shared = Arc::clone(shared);
                    let client = async move {
                        if let Err(error) = Box::pin(attend(stream, stranger, shared)).await {
                            tracing::debug!(%peer, %error, "a connection broke");
                        }
                    };
                    clients.spawn_on(client, &threads.handle);
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection");
                    shared.clock.sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn attend(stream: TcpStream, stranger: Stranger, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = tokio::select! {
        connection = startup::login(stream, Arc::clone(&shared)) => connection?,
        () = shared.clock.sleep(LOGIN_TIMEOUT) => return Err(io::ErrorKind::TimedOut.into()),
        () = stranger.evicted.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
        () = shared.stopping.cancelled() => return Ok(()),
    };
    if !stranger.may_stay() {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    match connection {
        Some(connection) => connection.run().await,
        None => Ok(()),
    }
}

async fn drain(shared: &Shared, clients: &mut JoinSet<()>) {
    shared.stopping.cancel();
    let all_ended = async { while clients.join_next().await.is_some() {} };
    tokio::select! {
        () = all_ended => return,
        () = shared.clock.sleep(DRAIN_TIMEOUT) => (),
    }
    tracing::warn!(clients = clients.len(), "ending statements that outlived the shutdown");
    shared.aborting.cancel();
    let all_ended = async { while clients.join_next().await.is_some() {} };
    tokio::select! {
        () = all_ended => (),
        // A client that does not even take its error message is cut off.
        () = shared.clock.sleep(ACCEPT_PAUSE) => clients.shutdown().await,
    }
}
