//! The PostgreSQL door, judged by clients we did not write: psql and tokio-postgres.
#![expect(clippy::unwrap_used, reason = "the helpers of these tests fail the test as a test does")]

pub(crate) mod audit;
mod catalog;
mod copy;
mod cursors;
mod drivers;
mod functions;
mod gate;
mod limits;
mod logins;
mod psql;
mod roles;
pub(crate) mod tables;
mod tls;
mod transactions;
mod values;
mod wire;

use std::{process::Stdio, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use model::{Clock, clock::Sleep};
use serve::postgres::{PostgresConfig, Users, Verifier};
use tokio::{net::TcpListener, process::Command, sync::oneshot, task::JoinHandle};

const USER: &str = "analyst";
const PASSWORD: &str = "pass word, with: signs";

/// Longest wait for anything: a test that hangs must fail.
const PATIENCE: Duration = Duration::from_secs(30);

/// Real time, because the peers of these tests live in it.
#[derive(Debug)]
struct WallClock(tokio::time::Instant);

#[expect(clippy::disallowed_methods, reason = "the one place where these tests meet real time")]
impl Clock for WallClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        // No test waits for what takes minutes.
        let duration = if duration > PATIENCE * 4 { duration / 100 } else { duration };
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A running server; stops when dropped or when told to.
struct Server {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), serve::Error>>,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    async fn start_with(change: impl FnOnce(&mut PostgresConfig)) -> Self {
        Self::start_over(tables::reader(), change).await
    }

    async fn start_over(reader: lake::Reader, change: impl FnOnce(&mut PostgresConfig)) -> Self {
        let mut users = Users::new();
        users.insert(USER, Verifier::from_password(PASSWORD, b"0123456789abcdef"));
        Self::start_for(users, reader, change).await
    }

    async fn start_for(
        users: Users,
        reader: lake::Reader,
        change: impl FnOnce(&mut PostgresConfig),
    ) -> Self {
        let clock = Arc::new(WallClock(tokio::time::Instant::now()));
        Self::start_at(clock, users, reader, change).await
    }

    async fn start_at(
        clock: Arc<dyn Clock>,
        users: Users,
        reader: lake::Reader,
        change: impl FnOnce(&mut PostgresConfig),
    ) -> Self {
        let mut config = PostgresConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            tls_required: false,
            connections_max: 8,
            statement_timeout: Duration::from_secs(20),
            rows_max: 1_000_000,
            audit: None,
        };
        change(&mut config);
        let listener = config.listen().await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            stopped.await.ok();
        };
        let server = serve::postgres::serve(listener, config, users, reader, clock, shutdown);
        Self { port, stop: Some(stop), task: tokio::spawn(server) }
    }

    fn url(&self) -> String {
        format!("host=127.0.0.1 port={} user={USER} dbname=marketlake", self.port)
    }

    async fn connect(&self) -> tokio_postgres::Client {
        self.connect_as(PASSWORD).await.unwrap()
    }

    async fn connect_as(
        &self,
        password: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        self.connect_role(USER, password).await
    }

    async fn connect_role(
        &self,
        role: &str,
        password: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config: tokio_postgres::Config = self.url().parse().unwrap();
        config.user(role).password(password).connect_timeout(PATIENCE);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs psql with one `-c` per command.
    async fn psql(&self, commands: &[&str]) -> Psql {
        self.psql_with(&[], commands).await
    }

    async fn psql_with(&self, arguments: &[&str], commands: &[&str]) -> Psql {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-v", "VERBOSITY=verbose", "-d", &self.url()])
            .args(arguments)
            .env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "20")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for command in commands {
            psql.args(["-c", command]);
        }
        let output = tokio::time::timeout(PATIENCE, psql.output())
            .await
            .expect("psql ends in time")
            .expect("psql runs: install the package postgresql-client");
        Psql {
            is_success: output.status.success(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        let ended = tokio::time::timeout(PATIENCE, &mut self.task).await;
        ended.expect("the server stops in time").unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What psql said.
struct Psql {
    is_success: bool,
    out: String,
    err: String,
}

impl Psql {
    #[track_caller]
    fn shows(&self, expected: &str) -> &Self {
        assert!(self.out.contains(expected), "no `{expected}` in:\n{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn succeeds(&self) -> &Self {
        assert!(self.is_success && self.err.is_empty(), "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn fails_with(&self, code: &str) -> &Self {
        assert!(self.err.contains(code), "no {code} in:\n{}\n{}", self.out, self.err);
        self
    }
}

#[tokio::test]
async fn an_address_other_machines_reach_is_refused() {
    let config = PostgresConfig {
        bind: "0.0.0.0:0".parse().unwrap(),
        tls: None,
        tls_required: true,
        connections_max: 1,
        statement_timeout: PATIENCE,
        rows_max: 1,
        audit: None,
    };
    let error = config.listen().await.unwrap_err();
    assert_eq!(error.kind(), model::ErrorKind::Config);
    assert!(error.to_string().contains("PostgreSQL"), "{error}");

    // Also when the caller brings the socket.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let clock = Arc::new(WallClock(tokio::time::Instant::now()));
    let never = std::future::pending();
    let served =
        serve::postgres::serve(listener, config, Users::new(), tables::reader(), clock, never);
    assert!(served.await.is_err());
}
