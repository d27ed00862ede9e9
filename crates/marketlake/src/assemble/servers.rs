//! The ports: bound first, so that a port in use is known before any work begins.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use model::Clock;
use serve::{
    FlightMeter,
    flight::FlightConfig,
    http::{Doors, HttpConfig, Services, StatusProbe, sharing::Sharing},
    postgres::{DATABASE, PostgresConfig, QueryLimits},
    tls::Protocol,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{ResultExt, Workbench, certificate::Certificate, password::Login};
use crate::{assemble::failures::OurError, failure::Failure, supervise::Supervisor};

/// Clients of a port for programs.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// Clients of the PostgreSQL port: a BI tool opens about ten, a dashboard that many people look at
/// some for each of them. One that does nothing costs a few dozen kilobytes.
const POSTGRES_CONNECTIONS_MAX: usize = 256;
/// Longest statement: a dashboard that takes longer has lost its reader.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(120);
/// Most rows of one result: an import of a year of minutes for a hundred symbols.
pub(super) const ROWS_MAX: u64 = 10_000_000;
/// Ports the demo tries behind the one it wants.
const PORTS_TRIED: u16 = 20;

/// What to do when a port is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortTaken {
    /// Say so and end.
    Fail,
    /// Take the next free one.
    TryNext,
}

/// Whom the servers let in, and to what.
pub(crate) struct Admission {
    pub(crate) login: Login,
    pub(crate) sharing: Option<Sharing>,
}

/// The ports, open.
pub(crate) struct Ports {
    http: (TcpListener, HttpConfig),
    postgres: (TcpListener, PostgresConfig),
    /// If there is to be one.
    flight: Option<(TcpListener, FlightConfig)>,
    /// Of all ports that have one.
    certificates: Vec<Certificate>,
}

/// The addresses that were really bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) postgres: SocketAddr,
    pub(crate) flight: Option<SocketAddr>,
}

impl Ports {
    /// Opens all ports that are wanted.
    pub(crate) async fn open(bench: &Workbench, when_taken: PortTaken) -> Result<Self, Failure> {
        let http = &bench.config.http;
        let of_http = Certificate::open("http.tls", Protocol::Http, http.tls.as_ref())?;
        let (allowed_hosts, login) = (http.allowed_hosts.clone(), http.has_login);
        let http = listen("http.bind", http.bind, when_taken, async |bind| {
            let tls = Certificate::shown(of_http.as_ref());
            let config = HttpConfig { bind, tls, login, allowed_hosts: allowed_hosts.clone() };
            serve::http::bind(&config).await.map(|listener| (listener, config))
        })
        .await?;
        let audit = bench.audit()?;
        let wanted = &bench.config.postgres;
        let of_postgres =
            Certificate::open("postgres.tls", Protocol::Postgres, wanted.tls.as_ref())?;
        let postgres = listen("postgres.bind", wanted.bind, when_taken, async |bind| {
            let config = PostgresConfig {
                bind,
                tls: Certificate::shown(of_postgres.as_ref()),
                tls_required: wanted.is_tls_required,
                connections_max: POSTGRES_CONNECTIONS_MAX,
                statement_timeout: STATEMENT_TIMEOUT,
                rows_max: ROWS_MAX,
                audit: audit.clone(),
            };
            config.listen().await.map(|listener| (listener, config))
        })
        .await?;
        let (flight, of_flight) = match bench.flight(audit)? {
            None => (None, None),
            Some((config, certificate)) => {
                let opened = listen("serve.flight.bind", config.bind, when_taken, async |bind| {
                    let config = FlightConfig { bind, ..config.clone() };
                    config.listen().await.map(|listener| (listener, config))
                });
                (Some(opened.await?), certificate)
            }
        };
        let certificates = [of_http, of_postgres, of_flight].into_iter().flatten().collect();
        Ok(Self { http, postgres, flight, certificates })
    }

    /// Returns the addresses that were really bound.
    pub(crate) fn addresses(&self) -> Result<Addresses, Failure> {
        let address = |listener: &TcpListener| {
            listener.local_addr().map_err(|error| {
                Failure::new(model::ErrorKind::Internal, error)
                    .context("asking for a bound address")
            })
        };
        let flight = self.flight.as_ref().map(|(listener, _)| address(listener)).transpose()?;
        Ok(Addresses { http: address(&self.http.0)?, postgres: address(&self.postgres.0)?, flight })
    }

    /// Starts the servers as one service each.
    pub(crate) fn spawn(
        self,
        supervisor: &mut Supervisor,
        bench: &Workbench,
        reader: &lake::Reader,
        status: Arc<dyn StatusProbe>,
        admission: Admission,
    ) -> Result<(), Failure> {
        let Addresses { postgres, .. } = self.addresses()?;
        let Admission { login, sharing } = admission;
        let shutdown = supervisor.shutdown_token();
        let meter = self.flight.is_some().then(FlightMeter::default);
        let services = services(bench, reader, status, postgres)?;
        let services = services
            .with_users(login.users.clone())
            .with_audit(self.postgres.1.audit.clone())
            .with_sharing(sharing)
            .with_flight(meter.clone());
        let (listener, config) = self.http;
        let stop = shutdown.clone().cancelled_owned();
        supervisor.spawn_service("serve", async move {
            let served = serve::http::serve(listener, &config, services, stop).await;
            served.map_err(OurError::into_failure)
        });
        if let (Some((listener, config)), Some(meter)) = (self.flight, meter) {
            let (reader, clock) = (reader.clone(), Arc::clone(&bench.clock));
            let (users, stop) = (login.users.clone(), shutdown.clone().cancelled_owned());
            supervisor.spawn_service("serve-flight", async move {
                let observed = (clock, meter);
                let served =
                    serve::flight::serve(listener, config, users, reader, observed, stop).await;
                served.map_err(OurError::into_failure)
            });
        }
        let (listener, config) = self.postgres;
        let (reader, clock) = (reader.clone(), Arc::clone(&bench.clock));
        let stop = shutdown.cancelled_owned();
        supervisor.spawn_service("serve-postgres", async move {
            let served =
                serve::postgres::serve(listener, config, login.users, reader, clock, stop).await;
            served.map_err(OurError::into_failure)
        });
        if !self.certificates.is_empty() {
            let clock = Arc::clone(&bench.clock);
            let renewing = renew(self.certificates, clock, supervisor.shutdown_token());
            supervisor.spawn_service("serve-certificates", renewing);
        }
        Ok(())
    }
}

/// Follows the files of all certificates until the end.
async fn renew(
    certificates: Vec<Certificate>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let following = certificates.into_iter().map(|it| it.follow(Arc::clone(&clock)));
    tokio::select! {
        () = stop.cancelled() => (),
        _ = futures::future::join_all(following) => (),
    }
    Ok(())
}

/// What the HTTP port serves. Statements there have the limits of the SQL port.
fn services(
    bench: &Workbench,
    reader: &lake::Reader,
    status: Arc<dyn StatusProbe>,
    postgres: SocketAddr,
) -> Result<Services, Failure> {
    let user = bench.config.postgres.user.clone();
    let doors = Doors { postgres, user, database: DATABASE.to_owned() };
    let services =
        Services::new(reader.clone(), status, Arc::clone(&bench.clock)).with_doors(doors);
    if !bench.config.http.has_sql {
        return Ok(services);
    }
    let limits = QueryLimits { timeout: STATEMENT_TIMEOUT, rows_max: ROWS_MAX };
    services.with_sql(limits).or_fail()
}

async fn listen<T>(
    setting: &str,
    wanted: SocketAddr,
    when_taken: PortTaken,
    open: impl AsyncFn(SocketAddr) -> Result<T, serve::Error>,
) -> Result<T, Failure> {
    let ports = match when_taken {
        PortTaken::Fail => 1,
        PortTaken::TryNext => PORTS_TRIED,
    };
    let mut failed = None;
    for port in (wanted.port()..=u16::MAX).take(usize::from(ports)) {
        match open(SocketAddr::new(wanted.ip(), port)).await {
            Ok(opened) => return Ok(opened),
            Err(error) if is_taken(&error) => failed = Some(error),
            Err(error) => return Err(error.into_failure()),
        }
    }
    let failure =
        failed.map_or_else(|| Failure::internal("no port was tried"), |error| error.into_failure());
    Err(failure.context(format!(
        "port {} is in use; end the program that has it, or choose another with `{setting}`",
        wanted.port()
    )))
}

fn is_taken(error: &serve::Error) -> bool {
    matches!(
        error,
        serve::Error::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse
    )
}
