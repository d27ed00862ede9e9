//! What log and audit are told of logins and statements.

use std::{sync::Arc, time::Duration};

use model::Clock;
use tonic::Status;

use super::{
    caller::{Caller, Origin},
    refused,
};
use crate::{
    audit::{Act, Audit, Event, Outcome},
    postgres::{Fingerprint, MUST_WAIT, NAME_CHARACTERS_MAX},
};

/// What the audit calls this server.
const DOOR: &str = "flight";

/// Who keeps the audit, if anybody does.
pub(super) struct Notes {
    pub(super) audit: Option<Arc<dyn Audit>>,
    /// Whether clients speak TLS.
    pub(super) is_encrypted: bool,
    pub(super) clock: Arc<dyn Clock>,
}

impl Notes {
    /// Tells how a login ended. One that had to wait costs nothing to repeat, and those that it waits
    /// for were told: at debug level only, or it would push out what is kept.
    pub(super) fn login(&self, origin: &Origin, user: &str, refused: Option<&Status>) {
        let role: String = user.chars().take(NAME_CHARACTERS_MAX).collect();
        let mut outcome = Outcome::Ok;
        if let Some(status) = refused {
            let (code, address) = (refused::sqlstate(status), origin.address);
            if code == MUST_WAIT {
                tracing::debug!(role, %address, code, "refused a Flight SQL login");
                return;
            }
            tracing::warn!(role, %address, code, "refused a Flight SQL login");
            outcome = Outcome::Refused { code };
        }
        let encrypted = self.is_encrypted;
        self.record(origin, role, Act::Login { encrypted }, outcome);
    }

    /// What will be said of a statement; nothing where nobody keeps an audit.
    pub(super) fn about(&self, text: &str) -> Option<Fingerprint> {
        self.audit.as_ref().and_then(|_| Fingerprint::of_text(text))
    }

    /// Tells how a statement ended.
    pub(super) fn statement(
        &self,
        caller: &Caller,
        about: Option<&Fingerprint>,
        (rows, took): (u64, Duration),
        outcome: Outcome,
    ) {
        let act = Fingerprint::act(about, (rows, took), outcome);
        self.record(&caller.origin, caller.role.name.as_ref().to_owned(), act, outcome);
    }

    fn record(&self, origin: &Origin, role: String, act: Act, outcome: Outcome) {
        let Some(audit) = &self.audit else { return };
        let ts = self.clock.now();
        let Origin { address, application } = origin.clone();
        audit.record(&Event { ts, door: DOOR, role, address, application, act, outcome });
    }
}
