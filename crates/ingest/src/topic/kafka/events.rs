//! What librdkafka tells us besides answers: its errors and its log.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::sync::Notify;

use super::failure::{code_of, in_short, refusal};

/// The memory of one client: what it said last, and whether it can go on.
#[derive(Debug)]
pub(super) struct Events {
    /// Wakes whoever waits for anything to happen; shared by all clients of a topic.
    pub(super) changed: Arc<Notify>,
    refused: Mutex<Option<(RDKafkaErrorCode, String)>>,
    said: Mutex<Option<String>>,
    is_stale: AtomicBool,
    had_commit_error: AtomicBool,
}

impl Events {
    pub(super) fn new(changed: Arc<Notify>) -> Self {
        Self {
            changed,
            refused: Mutex::default(),
            said: Mutex::default(),
            is_stale: AtomicBool::new(false),
            had_commit_error: AtomicBool::new(false),
        }
    }

    /// Returns the refusal of a login or of a secure connection, if there was one.
    pub(super) fn refused(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the fullest text about what just failed with `code`.
    pub(super) fn said(&self, code: RDKafkaErrorCode) -> String {
        // A broker's answer stands for itself; the library's own failures have a story.
        if 0 < code as i32 {
            return code.to_string();
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match said {
            Some(said) => format!("{code}: {said}"),
            None => code.to_string(),
        }
    }

    /// Marks the client as one that cannot go on.
    pub(super) fn set_stale(&self) {
        self.is_stale.store(true, Ordering::Release);
    }

    pub(super) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Acquire)
    }

    /// Returns whether a commit failed since the last call.
    pub(super) fn take_commit_error(&self) -> bool {
        self.had_commit_error.swap(false, Ordering::AcqRel)
    }

    fn note(&self, code: RDKafkaErrorCode, said: &str) {
        let said = in_short(said);
        tracing::debug!(target: "librdkafka", code = ?code, "{said}");
        if let Some(code) = refusal(code, &said) {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get_or_insert_with(|| (code, said.clone()));
        }
        if code == RDKafkaErrorCode::Fatal {
            self.set_stale();
        }
        // The end of all brokers says less than what became of the last one.
        if code != RDKafkaErrorCode::AllBrokersDown {
            *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        }
        self.changed.notify_waiters();
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // What matters of it comes back in an error, once.
        tracing::debug!(target: "librdkafka", level = ?level, facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.note(code_of(&error), reason);
    }
}

impl ConsumerContext for Events {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            // The chain is the progress; a commit only tells monitors about it.
            tracing::debug!(target: "librdkafka", code = ?code_of(&error), "a commit failed");
            self.had_commit_error.store(true, Ordering::Release);
        }
    }
}
