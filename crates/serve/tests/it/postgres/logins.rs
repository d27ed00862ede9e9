//! Whoever guesses passwords is slowed down, and nobody else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use model::{Clock, clock::Sleep};
use serve::postgres::{Limits, Role, Users, Verifier};
use tokio_postgres::error::SqlState;

use super::{PASSWORD, Server, USER, WallClock, tables};

/// Time that passes when the test says so; sleepers sleep as long as ever.
#[derive(Debug)]
struct SteppedClock {
    wall: WallClock,
    seconds: AtomicU64,
}

impl Clock for SteppedClock {
    fn now(&self) -> DateTime<Utc> {
        self.wall.now()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        self.wall.sleep(duration)
    }
}

/// A clock on which nobody's time is ever over.
#[derive(Debug)]
struct EndlessClock(WallClock);

impl Clock for EndlessClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, _: Duration) -> Sleep<'_> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn sockets_that_say_nothing_do_not_keep_others_out() {
    let mut users = Users::new();
    users.insert(USER, Verifier::from_password(PASSWORD, b"0123456789abcdef"));
    let clock = Arc::new(EndlessClock(WallClock(tokio::time::Instant::now())));
    let change = |config: &mut serve::postgres::PostgresConfig| config.connections_max = 2;
    let server = Server::start_at(clock, users, tables::reader(), change).await;
    let client = server.connect().await;
    let mut silent = Vec::new();
    // As many as the port has sockets: two clients and 32 who log in.
    for _ in 0..34 {
        silent.push(tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap());
    }
    let other = tokio::time::timeout(Duration::from_secs(30), server.connect()).await;
    other.expect("somebody makes room").simple_query("select 1").await.unwrap();
    client.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn after_some_wrong_passwords_the_right_one_has_to_wait_too() {
    let verifier = Verifier::from_password(PASSWORD, b"0123456789abcdef");
    let mut users = Users::new();
    users.insert(USER, verifier.clone());
    users.insert_role("desk", Role { verifier, grants: None, limits: Limits::default() });
    let wall = WallClock(tokio::time::Instant::now());
    let clock = Arc::new(SteppedClock { wall, seconds: AtomicU64::new(100) });
    let shared: Arc<dyn Clock> = Arc::<SteppedClock>::clone(&clock);
    let server = Server::start_at(shared, users, tables::reader(), |_| ()).await;
    // Who has been in before is not held up by what others do.
    server.connect().await;

    // Whether the role exists does not show: neither in the answer, nor in who has to wait.
    for role in ["desk", "nobody"] {
        for _ in 0..5 {
            let error = server.connect_role(role, "wrong").await.unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD), "{error:?}");
        }
    }
    for role in ["desk", "nobody", "somebody"] {
        let error = server.connect_role(role, PASSWORD).await.unwrap_err();
        assert_eq!(error.code().map(SqlState::code), Some("53400"), "{role}: {error:?}");
        assert!(format!("{error:?}").contains("Try again in 2 s"), "{error:?}");
    }
    server.connect().await.simple_query("select 1").await.unwrap();

    // That was a login from here, which forgives nothing: others may have guessed.
    for _ in 0..10 {
        let error = server.connect_role("desk", "wrong").await;
        let code = error.err().and_then(|error| error.code().cloned());
        assert!(code.is_some_and(|code| ["28P01", "53400"].contains(&code.code())));
    }
    let error = server.connect_role("desk", PASSWORD).await.unwrap_err();
    assert_eq!(error.code().map(SqlState::code), Some("53400"), "{error:?}");
    clock.seconds.fetch_add(64, Ordering::SeqCst);
    server.connect_role("desk", PASSWORD).await.unwrap();
}
