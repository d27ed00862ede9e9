//! The statements that run, by what their clients call them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;

use crate::http::reply::Refusal;

/// Shortest name: who would cancel a statement of somebody else has to know it, so it has to be long
/// enough to hold chance.
const ID_CHARS_MIN: usize = 16;
/// Room for a UUID and a prefix.
const ID_CHARS_MAX: usize = 64;

/// What a client calls its statement.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Id(String);

impl Id {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_plain && (ID_CHARS_MIN..=ID_CHARS_MAX).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        let allowed = "16 to 64 letters, digits and `-`, made by chance, such as a UUID";
        Err(Refusal::parameter("id", text, allowed))
    }
}

impl fmt::Debug for Id {
    /// Whoever knows it may cancel the statement.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id(…)")
    }
}

/// Every statement that has a name, by its role and that name. No longer than there are slots for
/// statements.
#[derive(Debug, Default)]
pub(super) struct Running {
    tokens: Mutex<HashMap<Named, CancellationToken>>,
}

type Named = (String, Id);

/// One statement's place in the list; leaves it when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) canceled: CancellationToken,
    named: Option<(Named, Arc<Running>)>,
}

impl Running {
    pub(super) fn enter(running: &Arc<Self>, role: &str, id: Option<Id>) -> Result<Place, Refusal> {
        let canceled = CancellationToken::new();
        let Some(id) = id else { return Ok(Place { canceled, named: None }) };
        let named = (role.to_owned(), id);
        let mut tokens = running.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.contains_key(&named) {
            let message = "a statement of this `id` is running; choose another for each";
            return Err(Refusal::new(StatusCode::CONFLICT, "duplicate_id", message));
        }
        tokens.insert(named.clone(), canceled.clone());
        drop(tokens);
        Ok(Place { canceled, named: Some((named, Arc::clone(running))) })
    }

    /// Ends the statement; `false` when the role has none of that name.
    pub(super) fn cancel(&self, role: &str, id: &Id) -> bool {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = tokens.get(&(role.to_owned(), id.clone())) else { return false };
        token.cancel();
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((named, running)) = &self.named {
            running.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(named);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_long_plain_and_never_shown() {
        let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(format!("{:?}", Id::parse(uuid).unwrap()), "Id(…)");
        for text in ["", "short", "has a space in its middle", &"x".repeat(65), "ünïcödeünïcödeü"]
        {
            assert!(Id::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_statement_is_canceled_by_its_name_while_it_runs() {
        let (running, id) = (Arc::new(Running::default()), Id::parse(&"a".repeat(16)).unwrap());
        let enter = |role, id: Option<&Id>| Running::enter(&running, role, id.cloned());
        let place = enter("ann", Some(&id)).unwrap();
        assert!(enter("ann", Some(&id)).is_err(), "the name is taken");
        assert!(!running.cancel("bob", &id), "it is somebody else's");
        assert!(running.cancel("ann", &id) && place.canceled.is_cancelled());
        drop(place);
        assert!(!running.cancel("ann", &id), "it has ended");
        assert!(enter("ann", Some(&id)).is_ok());
        assert!(enter("ann", None).is_ok() && enter("ann", None).is_ok());
    }
}
