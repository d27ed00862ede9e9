//! Who asks: one of the SQL port's users, or everybody where nobody has to log in.
//!
//! A browser and a program send user name and password with every request. A password is checked once,
//! in some milliseconds; who shows the same again, from the same address, is known for a while.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use model::Clock;
use tokio_util::sync::CancellationToken;

use super::{
    App,
    noted::{Notes, Origin},
    reply::Refusal,
    sharing,
};
use crate::{
    audit::Outcome,
    kept::{Bounds, Kept, Key},
    passwords::{Credentials, Passwords, Rejected},
    postgres::{
        self, Limits, NAME_CHARACTERS_MAX, Standing, Standings, Users, WRONG_PASSWORD, hmac_sha256,
    },
};

/// What a browser is told, so that it asks for user name and password by itself.
pub(super) const CHALLENGE: &str = "Basic realm=\"marketlake\", charset=\"UTF-8\"";

/// Where a probe learns that the server runs, which is no secret.
const HEALTH: &str = "/api/v1/health";

/// What the log, the audit and `current_user` call whoever did not have to log in.
const EVERYBODY: &str = "console";

/// Logins of one user that are known: some hundred machines. A console that is open asks every few
/// seconds; one that was closed is forgotten soon.
const JUDGED: Bounds =
    Bounds { entries_max: 256, weight_max: usize::MAX, idle_max: Duration::from_secs(900) };

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) address: IpAddr,
    /// Whether nobody on the way can read it.
    pub(super) is_encrypted: bool,
}

/// Told once somebody at this connection has shown who they are: it makes no room for others then.
#[derive(Clone, Debug)]
pub(super) struct Known(pub(super) CancellationToken);

/// Who asks, and what they may take.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) role: Arc<Standing>,
    /// Whether they logged in.
    pub(super) is_known: bool,
    pub(super) origin: Origin,
}

/// When it was found out that a password is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    Now,
    Before,
}

/// Who is let in.
pub(super) enum Logins {
    /// Whoever reaches the port.
    Open(Arc<Standing>),
    /// The users.
    Guarded(Box<Guarded>),
}

/// The users, and what they showed before.
pub(super) struct Guarded {
    passwords: Passwords,
    roles: Standings,
    judged: Kept<()>,
    /// Makes what is kept of a password worthless elsewhere.
    key: [u8; 32],
}

impl Logins {
    /// Lets in whoever reaches the port.
    pub(super) fn open(bounds: postgres::Bounds, reader: lake::Reader) -> Self {
        Self::Open(Arc::new(Standing::new(EVERYBODY, Limits::default(), bounds, reader)))
    }

    /// Lets in `users`, each to what they were granted. `random` is known to nobody.
    pub(super) fn guarded(
        users: Users,
        bounds: postgres::Bounds,
        reader: &lake::Reader,
        random: [[u8; 32]; 2],
    ) -> Self {
        let [mock_key, key] = random;
        let roles = users.standings(bounds, reader);
        let (passwords, judged) = (Passwords::new(users, mock_key), Kept::new(JUDGED));
        Self::Guarded(Box::new(Guarded { passwords, roles, judged, key }))
    }

    /// Returns who asks.
    pub(super) async fn admit(
        &self,
        headers: &HeaderMap,
        origin: Origin,
        notes: &Notes,
    ) -> Result<Visitor, Refusal> {
        match self {
            Self::Open(role) => Ok(Visitor { role: Arc::clone(role), is_known: false, origin }),
            Self::Guarded(guarded) => guarded.admit(headers, origin, notes).await,
        }
    }
}

impl Guarded {
    async fn admit(
        &self,
        headers: &HeaderMap,
        origin: Origin,
        notes: &Notes,
    ) -> Result<Visitor, Refusal> {
        let shown = shown(headers).ok_or_else(|| {
            refused("log in with a user name and password of the PostgreSQL port (HTTP Basic)")
        })?;
        let user: Arc<str> = Arc::from(shown.user.as_str());
        match self.check(shown, &user, origin.link.address, &*notes.clock).await {
            Ok(Judged::Now) => notes.login(&user, &origin, Outcome::Ok),
            Ok(Judged::Before) => (),
            Err(rejected) => {
                if rejected == Rejected::Wrong {
                    notes.login(&user, &origin, Outcome::Refused { code: WRONG_PASSWORD });
                }
                return Err(refuse(rejected, &user, origin.link.address));
            }
        }
        // Nobody proves to be a role that is not there.
        let role = self.roles.get(&*user).ok_or_else(|| refused(WRONG))?;
        Ok(Visitor { role: Arc::clone(role), is_known: true, origin })
    }

    async fn check(
        &self,
        shown: Credentials,
        user: &Arc<str>,
        address: IpAddr,
        clock: &dyn Clock,
    ) -> Result<Judged, Rejected> {
        let (key, now) = (self.key_of(&shown, address), clock.monotonic());
        let is_judged = || self.judged.get(&key, user, now).is_some();
        // Waits come first: or whoever guesses would learn from what is known.
        self.passwords.check_patience(address, user, now)?;
        if is_judged() {
            self.passwords.remember(address, user);
            return Ok(Judged::Before);
        }
        let mut judged = Judged::Now;
        let look = || {
            if is_judged() {
                judged = Judged::Before;
            }
            judged == Judged::Before
        };
        self.passwords.check(shown, address, clock, look).await?;
        if judged == Judged::Now {
            self.judged.keep(key, user, 0, (), now);
        }
        Ok(judged)
    }

    /// What a password is remembered by. With the address, so that nobody elsewhere learns from an
    /// answer without a wait that they guessed right.
    fn key_of(&self, shown: &Credentials, address: IpAddr) -> Key {
        // An address holds no space and a user's name no colon, so that no two of them look alike.
        let address = address.to_string();
        let parts = [address.as_bytes(), b" ", shown.user.as_bytes(), b":"];
        hmac_sha256(&self.key, &[&parts.concat(), shown.password.as_bytes()])
    }
}

/// Whether a path asks for no login: a probe's, and those with tokens of their own.
pub(super) fn is_exempt(path: &str) -> bool {
    path == HEALTH || sharing::is_ours(path)
}

/// Reads the header. Two of them count as none.
fn shown(headers: &HeaderMap) -> Option<Credentials> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    Credentials::of_basic(value.to_str().ok()?)
}

const WRONG: &str = "the user name or the password is wrong";

fn refused(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "login_required", message)
}

/// Tells a client why it is not let in, and the log of a wrong password.
fn refuse(rejected: Rejected, user: &str, address: IpAddr) -> Refusal {
    match rejected {
        Rejected::TooSoon(wait) => {
            let seconds = wait.as_secs().saturating_add(1);
            let message = format!("too many failed logins; try again in {seconds} s");
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", message)
                .with_retry_after(seconds)
        }
        Rejected::Wrong => {
            let user: String = user.chars().take(NAME_CHARACTERS_MAX).collect();
            tracing::warn!(user, %address, "refused an HTTP login");
            refused(WRONG)
        }
        Rejected::Unchecked => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the password could not be checked",
        ),
    }
}

impl Link {
    /// Of a request that somebody else's server accepted.
    pub(super) const UNKNOWN: Self =
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), is_encrypted: false };
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Refusal;

    /// The guard has put it there.
    async fn from_request_parts(parts: &mut Parts, _app: &Arc<App>) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| refused("log in first"))
    }
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Logins::Open",
            Self::Guarded(_) => "Logins::Guarded(…)",
        })
    }
}
