//! HTTP: the API for programs, the console for people, the metrics for operators.
//!
//! Reads only: nothing a route does changes the lake. All of them are a `GET`, but for statements
//! that are too long for an address, the end of one, and a query of Delta Sharing, whose protocol
//! wants a `POST`.

mod api;
mod connect;
mod console;
mod gate;
mod guard;
mod login;
mod noted;
mod params;
mod query;
mod reply;
mod rows;
mod server;
pub mod sharing;
mod stream;
mod tables;
mod wire;

use std::{fmt, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::{Router, middleware};
use model::{Clock, status::PipelineStatus};
use tokio_util::sync::CancellationToken;

pub(crate) use self::api::RELEASE;
pub use self::{
    connect::Doors,
    server::{bind, serve},
    stream::feed::BarFeed,
};
use self::{
    gate::Gate, login::Logins, noted::Notes, query::Desk, sharing::Sharing, stream::Streams,
};
use crate::{
    Error,
    audit::Audit,
    metrics::{FlightMeter, Meter},
    postgres::{Bounds, Queries, QueryLimits, Users},
    tls::Tls,
};

/// Where and to whom HTTP is served.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The address to listen on; has to be a loopback address where there is no TLS. Port 0 takes a
    /// free one.
    pub bind: SocketAddr,
    /// The certificate, if there is to be TLS.
    pub tls: Option<Arc<Tls>>,
    /// Whether clients of this machine have to log in, too.
    pub login: bool,
    /// Host names, besides those of loopback, that a request's `Host` header may bear.
    pub allowed_hosts: Vec<String>,
}

/// Tells how the pipeline is doing.
#[async_trait]
pub trait StatusProbe: fmt::Debug + Send + Sync {
    /// Returns the state of every stage and table. Called for each request that shows it.
    async fn status(&self) -> PipelineStatus;
}

/// What the routes need from the rest of the program.
#[derive(Clone, Debug)]
pub struct Services {
    reader: lake::Reader,
    feed: Arc<dyn BarFeed>,
    status: Arc<dyn StatusProbe>,
    clock: Arc<dyn Clock>,
    sharing: Option<Arc<Sharing>>,
    flight: Option<FlightMeter>,
    queries: Option<(Arc<Queries>, QueryLimits)>,
    users: Users,
    audit: Option<Arc<dyn Audit>>,
    doors: Option<Doors>,
}

impl Services {
    /// Serves the tables of `reader`.
    #[must_use]
    pub fn new(reader: lake::Reader, status: Arc<dyn StatusProbe>, clock: Arc<dyn Clock>) -> Self {
        let feed = Arc::new(reader.clone());
        Self {
            feed,
            reader,
            status,
            clock,
            sharing: None,
            flight: None,
            queries: None,
            users: Users::new(),
            audit: None,
            doors: None,
        }
    }

    /// Answers SQL, through the gate and the engine of the PostgreSQL port.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub fn with_sql(self, limits: QueryLimits) -> Result<Self, Error> {
        let queries = Queries::start(Arc::clone(&self.clock))?;
        Ok(Self { queries: Some((Arc::new(queries), limits)), ..self })
    }

    /// Lets in `users` where there has to be a login; without them nobody.
    #[must_use]
    pub fn with_users(self, users: Users) -> Self {
        Self { users, ..self }
    }

    /// Has somebody keep an audit of logins and statements.
    #[must_use]
    pub fn with_audit(self, audit: Option<Arc<dyn Audit>>) -> Self {
        Self { audit, ..self }
    }

    /// Tells where the other doors are, and offers files that open them.
    #[must_use]
    pub fn with_doors(self, doors: Doors) -> Self {
        Self { doors: Some(doors), ..self }
    }

    /// Shares tables by the Delta Sharing protocol.
    #[must_use]
    pub fn with_sharing(self, sharing: Option<Sharing>) -> Self {
        Self { sharing: sharing.map(Arc::new), ..self }
    }

    /// Shows what a Flight SQL server of this process counts among the metrics.
    #[must_use]
    pub fn with_flight(self, flight: Option<FlightMeter>) -> Self {
        Self { flight, ..self }
    }

    /// Takes the changes of the live stream from `feed` instead of the reader.
    #[must_use]
    pub fn with_feed(self, feed: Arc<dyn BarFeed>) -> Self {
        Self { feed, ..self }
    }
}

/// The state all routes share.
#[derive(Debug)]
struct App {
    reader: lake::Reader,
    status: Arc<dyn StatusProbe>,
    clock: Arc<dyn Clock>,
    sharing: Option<sharing::State>,
    logins: Logins,
    notes: Notes,
    flight: Option<FlightMeter>,
    desk: Option<Desk>,
    doors: Option<Doors>,
    allowed_hosts: Vec<String>,
    streams: Streams,
    gate: Gate,
    meter: Meter,
    /// Ends the streams, which would never end by themselves.
    stop: CancellationToken,
}

/// Returns the routes, the console and everything that guards them.
///
/// [`serve`] is the way to run them; this is for whoever brings a server of their own.
pub fn router(config: &HttpConfig, services: Services) -> Router {
    let has_login = server::is_login_required(config, config.bind);
    router_until(config, has_login, services, CancellationToken::new())
}

/// What everybody may take, and no role more. Without statements there are only the API's own bounds.
fn bounds(limits: Option<QueryLimits>) -> Bounds {
    let QueryLimits { timeout: statement_timeout, rows_max } =
        limits.unwrap_or(QueryLimits { timeout: guard::REQUEST_TIMEOUT, rows_max: u64::MAX });
    Bounds { connections_max: query::STATEMENTS_MAX, statement_timeout, rows_max }
}

fn router_until(
    config: &HttpConfig,
    has_login: bool,
    services: Services,
    stop: CancellationToken,
) -> Router {
    let Services { reader, feed, status, clock, sharing, flight, queries, users, audit, doors } =
        services;
    let notes = Notes { audit, clock: Arc::clone(&clock) };
    let (queries, limits) = queries.unzip();
    let bounds = bounds(limits);
    let logins = if has_login {
        Logins::guarded(users, bounds, &reader, rand::random())
    } else {
        Logins::open(bounds, reader.clone())
    };
    let has_tls = config.tls.is_some();
    let sharing = sharing.map(|sharing| sharing::State::new(sharing, has_tls));
    let desk = queries.map(Desk::new);
    let streams = Streams::new(feed, Arc::clone(&clock), stop.clone());
    let allowed_hosts = config.allowed_hosts.clone();
    let (gate, meter) = (Gate::new(), Meter::default());
    let app = Arc::new(App {
        reader,
        status,
        clock,
        sharing,
        logins,
        notes,
        flight,
        desk,
        doors,
        allowed_hosts,
        streams,
        gate,
        meter,
        stop,
    });
    let mut router = Router::new();
    for (path, methods) in api::routes() {
        router = router.route(path, methods);
    }
    router
        .nest(sharing::PREFIX, sharing::routes())
        .fallback(console::file)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app)
}
