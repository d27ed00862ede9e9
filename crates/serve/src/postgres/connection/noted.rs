//! What the audit is told of a connection's statements.

use std::{sync::Arc, time::Duration};

use pgwire::messages::{PgWireFrontendMessage, extendedquery::TARGET_TYPE_BYTE_STATEMENT};

use super::Connection;
use crate::{
    audit::{Event, Outcome},
    postgres::{DOOR, Stop, statement::Fingerprint},
};

/// A statement that has begun.
pub(super) struct Begun {
    about: Option<Arc<Fingerprint>>,
    at: Duration,
    /// It is told even if it ends well.
    is_run: bool,
}

impl Connection {
    /// Notes the beginning; `None` where nobody keeps an audit.
    pub(super) fn begin(
        &mut self,
        is_run: bool,
        about: impl FnOnce(&Self) -> Option<Arc<Fingerprint>>,
    ) -> Option<Begun> {
        self.shared.config.audit.as_ref()?;
        self.rows_sent = 0;
        Some(Begun { about: about(self), at: self.shared.clock.monotonic(), is_run })
    }

    /// Notes the beginning of what a message of the extended protocol asks for. A statement is run by
    /// Execute; the messages before it are told of when they fail.
    pub(super) fn begin_message(&mut self, message: &PgWireFrontendMessage) -> Option<Begun> {
        let is_run = matches!(message, PgWireFrontendMessage::Execute(_));
        self.begin(is_run, |connection| connection.about(message))
    }

    fn about(&self, message: &PgWireFrontendMessage) -> Option<Arc<Fingerprint>> {
        let of_statement = |name: &Option<String>| {
            let prepared = self.statements.get(name.as_deref().unwrap_or_default())?;
            Fingerprint::of_text(prepared.text()).map(Arc::new)
        };
        let of_portal = |name: &Option<String>| {
            self.portals.get(name.as_deref().unwrap_or_default())?.about.clone()
        };
        match message {
            PgWireFrontendMessage::Parse(parse) => Fingerprint::of_text(&parse.query).map(Arc::new),
            PgWireFrontendMessage::Bind(bind) => of_statement(&bind.statement_name),
            PgWireFrontendMessage::Execute(execute) => of_portal(&execute.name),
            PgWireFrontendMessage::Describe(describe)
                if describe.target_type == TARGET_TYPE_BYTE_STATEMENT =>
            {
                of_statement(&describe.name)
            }
            PgWireFrontendMessage::Describe(describe) => of_portal(&describe.name),
            _ => None,
        }
    }

    /// What the audit will say of a portal of the statement `text`.
    pub(super) fn about_text(&self, text: &str) -> Option<Arc<Fingerprint>> {
        self.shared.config.audit.as_ref()?;
        Fingerprint::of_text(text).map(Arc::new)
    }

    /// Tells how what has begun ended.
    pub(super) fn end(&self, begun: Option<Begun>, outcome: &Result<(), Stop>) {
        let (Some(audit), Some(begun)) = (&self.shared.config.audit, begun) else { return };
        if outcome.is_ok() && !begun.is_run {
            return;
        }
        let took = self.shared.clock.monotonic().saturating_sub(begun.at);
        let ended = outcome_of(outcome);
        audit.record(&Event {
            ts: self.shared.clock.now(),
            door: DOOR,
            role: self.who.role.name.as_ref().to_owned(),
            address: self.who.address,
            application: self.who.settings.show("application_name").unwrap_or_default(),
            act: Fingerprint::act(begun.about.as_deref(), (self.rows_sent, took), ended),
            outcome: ended,
        });
    }
}

fn outcome_of(outcome: &Result<(), Stop>) -> Outcome {
    match outcome {
        Ok(()) => Outcome::Ok,
        Err(Stop::Failed(failure)) => Outcome::Refused { code: failure.code },
        Err(Stop::Gone(_)) => Outcome::Gone,
    }
}
