//! Who asks the server: a token that is renewed before its lease ends, or a login as an
//! application role that is repeated when the server has forgotten it.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::{Question, Server};
use crate::{
    Credential, Error, ErrorClass, HashicorpAuth, Redactor, RemoteError, Secret, http::Reply,
};

/// A session this young is not replaced when the server says no: it is the policy that says no,
/// and signing in again for every question would be a flood.
const AGE_MIN: Duration = Duration::from_secs(5);

/// After a renewal failed, the token is used as it is for this long.
const RENEW_PAUSE: Duration = Duration::from_secs(30);

/// Hands out the token to ask with.
pub(super) struct Sessions {
    auth: HashicorpAuth,
    credential: Option<Credential>,
    redactor: Redactor,
    current: Mutex<Option<Session>>,
}

#[derive(Clone)]
struct Session {
    token: Secret,
    since: Duration,
    lease: Option<Lease>,
}

/// A token that ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease {
    renew_at: Duration,
    ends_at: Duration,
    is_renewable: bool,
}

/// What to do with the session before a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Use,
    Renew,
    SignIn,
}

/// Signing in failed: at the server, or before it.
pub(super) enum SignInError {
    Remote(RemoteError),
    Credential(Error),
}

impl SignInError {
    /// Makes the provider's error of it.
    pub(super) fn of(self, failed: impl FnOnce(RemoteError) -> Error) -> Error {
        match self {
            Self::Remote(error) => failed(error),
            Self::Credential(error) => error,
        }
    }
}

impl From<RemoteError> for SignInError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

#[derive(Deserialize)]
struct SignedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    lease_duration: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct LookedUp {
    data: TokenFacts,
}

#[derive(Deserialize)]
struct TokenFacts {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Lease {
    /// Returns the lease of a token that lives `seconds` from `now`; none when it never ends.
    fn new(now: Duration, seconds: u64, is_renewable: bool) -> Option<Self> {
        let length = Duration::from_secs(seconds);
        (0 < seconds).then(|| Self {
            // Two thirds: one failed renewal leaves time for another.
            renew_at: now.saturating_add(length / 3 * 2),
            ends_at: now.saturating_add(length),
            is_renewable,
        })
    }

    fn step(self, now: Duration, can_sign_in: bool) -> Step {
        match now {
            _ if now < self.renew_at => Step::Use,
            _ if now < self.ends_at && self.is_renewable => Step::Renew,
            _ if can_sign_in => Step::SignIn,
            // A token at its end: the server has the last word.
            _ => Step::Use,
        }
    }
}

impl Sessions {
    pub(super) fn new(
        auth: HashicorpAuth,
        credential: Option<Credential>,
        redactor: Redactor,
    ) -> Self {
        Self { auth, credential, redactor, current: Mutex::new(None) }
    }

    /// Returns the token to ask with. The lock is held meanwhile: many questions, one login.
    pub(super) async fn get(&self, server: &Server) -> Result<Secret, SignInError> {
        let mut current = self.current.lock().await;
        let now = server.clock.elapsed();
        let can_sign_in = matches!(self.auth, HashicorpAuth::AppRole { .. });
        let step = match &*current {
            None => Step::SignIn,
            Some(session) => session.lease.map_or(Step::Use, |lease| lease.step(now, can_sign_in)),
        };
        if step == Step::Renew
            && let Some(session) = &mut *current
            && !renew(server, session).await
        {
            if can_sign_in {
                *current = None;
            } else if let Some(lease) = &mut session.lease {
                tracing::warn!("the token of a HashiCorp Vault scope could not be renewed");
                // Counted from the failure: the attempts alone may have taken as long.
                lease.renew_at = server.clock.elapsed().saturating_add(RENEW_PAUSE);
            }
        }
        if step == Step::SignIn {
            *current = None;
        }
        if let Some(session) = &*current {
            return Ok(session.token.clone());
        }
        let session = self.sign_in(server).await?;
        Ok(current.insert(session).token.clone())
    }

    /// Says that the server refused a token: the next question gets another one.
    pub(super) async fn refused(&self, server: &Server, token: &Secret) {
        let mut current = self.current.lock().await;
        let now = server.clock.elapsed();
        let is_current = current.as_ref().is_some_and(|session| {
            session.token.expose() == token.expose() && AGE_MIN <= now.saturating_sub(session.since)
        });
        if !is_current {
            return;
        }
        *current = None;
        if let Some(credential) = &self.credential {
            credential.invalidate().await;
        }
    }

    async fn sign_in(&self, server: &Server) -> Result<Session, SignInError> {
        let credential = self.credential.as_ref().ok_or_else(|| RemoteError::NoCredential {
            explanation: "the scope has neither `token` nor `secret_id`".to_owned(),
        })?;
        let secret = credential.get().await.map_err(SignInError::Credential)?;
        let HashicorpAuth::AppRole { role_id, mount, .. } = &self.auth else {
            return look_up(server, secret).await;
        };
        let mut path = vec!["auth"];
        path.extend(mount.split('/'));
        path.push("login");
        let question = Question {
            method: Method::POST,
            path,
            query: None,
            body: Some(json!({"role_id": role_id, "secret_id": secret.expose()})),
        };
        let reply = server.ask(None, &question).await?;
        if reply.status != 200 {
            // A secret id that was replaced is read again for the next attempt.
            credential.invalidate().await;
            return Err(refused_login(&reply).into());
        }
        let signed_in: SignedIn = reply.json()?;
        let now = server.clock.elapsed();
        let token = Secret::new(signed_in.auth.client_token);
        self.redactor.register_token(&token);
        let lease = Lease::new(now, signed_in.auth.lease_duration, signed_in.auth.renewable);
        Ok(Session { token, since: now, lease })
    }
}

fn refused_login(reply: &Reply) -> RemoteError {
    let explanation = match reply.status {
        404 => "no AppRole login is mounted at `auth_mount`",
        _ => "the server does not accept `role_id` with this `secret_id`; make a new secret id",
    };
    match reply.status {
        400 => reply.refused_as(ErrorClass::Permission, "", explanation),
        _ => reply.refused("", explanation),
    }
}

/// Asks how long a token lives. A server that answers and does not say is no failure: it has the
/// last word on every question anyway. One that does not answer is, or the token would never be
/// renewed.
async fn look_up(server: &Server, token: Secret) -> Result<Session, SignInError> {
    let question = Question {
        method: Method::GET,
        path: vec!["auth", "token", "lookup-self"],
        query: None,
        body: None,
    };
    let reply = server.ask(Some(&token), &question).await?;
    let now = server.clock.elapsed();
    let lease = match reply.status {
        200 => {
            let LookedUp { data } = reply.json()?;
            Lease::new(now, data.ttl, data.renewable)
        }
        _ => None,
    };
    Ok(Session { token, since: now, lease })
}

/// Lengthens the lease; says whether it worked.
async fn renew(server: &Server, session: &mut Session) -> bool {
    let question = Question {
        method: Method::POST,
        path: vec!["auth", "token", "renew-self"],
        query: None,
        body: Some(json!({})),
    };
    let reply = server.ask(Some(&session.token), &question).await.ok();
    let renewed =
        reply.filter(|reply| reply.status == 200).and_then(|reply| reply.json::<SignedIn>().ok());
    let Some(renewed) = renewed else { return false };
    let now = server.clock.elapsed();
    session.lease = Lease::new(now, renewed.auth.lease_duration, renewed.auth.renewable);
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Lease, Step};

    #[test]
    fn a_lease_is_renewed_in_time_and_replaced_at_its_end() {
        let seconds = Duration::from_secs;
        let lease = Lease::new(seconds(100), 90, true).unwrap();
        assert_eq!(lease.step(seconds(159), true), Step::Use);
        assert_eq!(lease.step(seconds(160), true), Step::Renew);
        assert_eq!(lease.step(seconds(190), true), Step::SignIn);
        assert_eq!(lease.step(seconds(190), false), Step::Use, "a token cannot sign in again");
        let fixed = Lease::new(seconds(100), 90, false).unwrap();
        assert_eq!(fixed.step(seconds(160), true), Step::SignIn);
        assert_eq!(Lease::new(seconds(100), 0, true), None, "a root token never ends");
        let endless = Lease::new(seconds(100), u64::MAX, true).unwrap();
        assert_eq!(endless.step(seconds(u64::MAX / 2), true), Step::Use);
    }
}
