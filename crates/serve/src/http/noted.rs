//! What the audit is told of logins and statements over HTTP.

use std::{fmt, sync::Arc, time::Duration};

use axum::http::{HeaderMap, header};
use model::Clock;

use super::login::{Link, Visitor};
use crate::{
    audit::{Act, Audit, Event, Outcome},
    postgres::{Fingerprint, NAME_CHARACTERS_MAX, Refused},
};

/// What the audit calls this server.
const DOOR: &str = "http";

/// Tells the audit, if anybody keeps one.
#[derive(Clone)]
pub(super) struct Notes {
    pub(super) audit: Option<Arc<dyn Audit>>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Where a request comes from, and what its client calls itself.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) link: Link,
    application: String,
}

/// A statement that has begun.
pub(super) struct Begun {
    about: Option<Fingerprint>,
    visitor: Visitor,
    at: Duration,
}

impl Origin {
    pub(super) fn new(link: Link, headers: &HeaderMap) -> Self {
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Self { link, application: cut(agent.unwrap_or_default()) }
    }
}

impl Notes {
    /// Tells of a password that was checked. What was known already is no login.
    pub(super) fn login(&self, user: &str, origin: &Origin, outcome: Outcome) {
        let act = Act::Login { encrypted: origin.link.is_encrypted };
        self.tell(cut(user), origin, act, outcome);
    }

    /// Notes that a statement begins; `None` where nobody keeps an audit.
    pub(super) fn begin(&self, visitor: &Visitor, text: &str) -> Option<Begun> {
        self.audit.as_ref()?;
        let about = Fingerprint::of_text(text);
        Some(Begun { about, visitor: visitor.clone(), at: self.clock.monotonic() })
    }

    /// Tells how a statement ended, and how many rows were sent. `None` is a client that went away.
    pub(super) fn end(&self, begun: Option<Begun>, rows: u64, ended: Option<&Result<(), Refused>>) {
        let Some(Begun { about, visitor, at }) = begun else { return };
        let outcome = match ended {
            None => Outcome::Gone,
            Some(Ok(())) => Outcome::Ok,
            Some(Err(refused)) => Outcome::Refused { code: refused.code },
        };
        let took = self.clock.monotonic().saturating_sub(at);
        let act = Fingerprint::act(about.as_ref(), (rows, took), outcome);
        self.tell(visitor.role.name.to_string(), &visitor.origin, act, outcome);
    }

    fn tell(&self, role: String, origin: &Origin, act: Act, outcome: Outcome) {
        let Some(audit) = &self.audit else { return };
        audit.record(&Event {
            ts: self.clock.now(),
            door: DOOR,
            role,
            address: origin.link.address,
            application: origin.application.clone(),
            act,
            outcome,
        });
    }
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_CHARACTERS_MAX).collect()
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").field("audit", &self.audit).finish_non_exhaustive()
    }
}
