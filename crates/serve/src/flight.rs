//! The Flight SQL door: ADBC, JDBC, Python and everything else that takes columns as they are.
//!
//! gRPC and the messages are libraries; what is asked is answered by the gate and the engine of the
//! SQL port, under the same bounds:
//!
//! ```text
//! accept ─▶ TLS ─▶ HTTP/2 ─▶ door ─┬▶ Handshake: a password becomes a token
//!   bound    or loopback           └▶ token ─┬▶ statement ─▶ the SQL port's gate ─▶ engine ─▶ stream
//!                                            └▶ listing: schemas, tables, keys, types
//! ```

use std::{net::SocketAddr, sync::Arc, time::Duration};

use model::Clock;
use tokio::{net::TcpListener, runtime::Handle, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    audit::Audit,
    metrics::FlightMeter,
    postgres::{Bounds, Users},
    threads::Threads,
    tls::Tls,
};

mod caller;
mod calls;
mod door;
mod facts;
mod handles;
mod keys;
mod listing;
mod login;
mod noted;
mod parameters;
mod pump;
mod refused;
mod server;
mod statements;
mod stream;
mod types;

const PROTOCOL: &str = "Flight SQL";

/// The settings of the server.
#[derive(Clone, Debug)]
pub struct FlightConfig {
    /// Where to listen; without TLS it must be a loopback address.
    pub bind: SocketAddr,
    /// The certificate, if there is to be TLS.
    pub tls: Option<Arc<Tls>>,
    /// Most clients at a time, and most statements that are planned or read at a time.
    pub connections_max: usize,
    /// Longest run of one statement, until its last row is taken.
    pub statement_timeout: Duration,
    /// Most rows of one result.
    pub rows_max: u64,
    /// Who keeps the audit, if anybody does.
    pub audit: Option<Arc<dyn Audit>>,
}

impl FlightConfig {
    /// Opens the port.
    ///
    /// # Errors
    /// Other machines could reach the address and there is no TLS, or it is taken.
    pub async fn listen(&self) -> Result<TcpListener, Error> {
        self.refuse_exposed(self.bind)?;
        TcpListener::bind(self.bind).await.map_err(|source| self.unbound(source))
    }

    const fn bounds(&self) -> Bounds {
        let Self { connections_max, statement_timeout, rows_max, .. } = *self;
        Bounds { connections_max, statement_timeout, rows_max }
    }

    fn refuse_exposed(&self, bind: SocketAddr) -> Result<(), Error> {
        if bind.ip().is_loopback() || self.tls.is_some() {
            Ok(())
        } else {
            Err(Error::Exposed { protocol: PROTOCOL, bind, section: "serve.flight.tls" })
        }
    }

    fn unbound(&self, source: std::io::Error) -> Error {
        Error::Listen { protocol: PROTOCOL, bind: self.bind, source }
    }
}

/// What all connections share.
struct Shared {
    config: FlightConfig,
    clock: Arc<dyn Clock>,
    meter: FlightMeter,
    logins: login::Logins,
    statements: statements::Statements,
    notes: noted::Notes,
    /// One for each statement that is planned or read.
    slots: Arc<Semaphore>,
    /// No new calls.
    stopping: CancellationToken,
    /// Streams end, too.
    aborting: CancellationToken,
    /// Where statements are worked out.
    engine: Handle,
}

/// Serves clients until `shutdown` ends; then streams that are being read get five seconds.
///
/// # Errors
/// Other machines could reach the listener and there is no TLS, or there are no threads to be had.
pub async fn serve(
    listener: TcpListener,
    config: FlightConfig,
    users: Users,
    reader: lake::Reader,
    (clock, meter): (Arc<dyn Clock>, FlightMeter),
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let local = listener.local_addr().map_err(|source| config.unbound(source))?;
    config.refuse_exposed(local)?;
    tracing::info!(%local, tls = config.tls.is_some(), "serving Flight SQL");
    let threads = Threads::start("marketlake-flight", PROTOCOL)?;
    let engine = Threads::start("marketlake-flight-engine", PROTOCOL)?;
    let shared = Arc::new(Shared {
        logins: login::Logins::new(
            users.standings(config.bounds(), &reader),
            users,
            rand::random(),
        ),
        statements: statements::Statements::default(),
        notes: noted::Notes {
            audit: config.audit.clone(),
            is_encrypted: config.tls.is_some(),
            clock: Arc::clone(&clock),
        },
        slots: Arc::new(Semaphore::new(config.connections_max)),
        config,
        clock,
        meter,
        stopping: CancellationToken::new(),
        aborting: CancellationToken::new(),
        engine: engine.handle.clone(),
    });
    server::run(listener, &shared, &threads, shutdown).await;
    Ok(())
}
