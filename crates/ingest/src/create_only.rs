//! Creating an object that must be created once, in a store whose answers may get lost.

use std::{future::Future, time::Duration};

use model::{Clock, ErrorKind};

use crate::Error;

/// The first pause; each is twice as long, up to a second.
const PAUSE_FIRST: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How an object came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is what we wanted to create, by this call or an earlier one.
    Ours,
    /// Somebody else created another one first.
    Others,
}

/// What lies where an object was to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// What we wanted to create.
    Same,
    /// Something else.
    Other,
    Nothing,
}

impl Found {
    /// Something is there.
    pub(crate) const fn of(is_same: bool) -> Self {
        if is_same { Self::Same } else { Self::Other }
    }
}

/// Creates an object, or finds out who did: `put` tries to create it, and `look` says what is there.
///
/// | the store says | the object is | then |
/// |---|---|---|
/// | created | ours | done |
/// | anything else | there, the same | done: an earlier try succeeded and its reply was lost |
/// | anything else | there, another | somebody else was first |
/// | anything else | not there | try again: a conflict (409) need not mean that anybody won |
///
/// Trying again is harmless even when an earlier try is still under way: only one can create. After
/// an error, or `tries_max` tries, the outcome is open: one on its way may still create the object.
pub(crate) async fn create<P, L>(
    clock: &dyn Clock,
    tries_max: u32,
    put: impl Fn() -> P + Send,
    look: impl Fn() -> L + Send,
) -> Result<Created, Error>
where
    P: Future<Output = Result<(), Error>> + Send,
    L: Future<Output = Result<Found, Error>> + Send,
{
    let mut pause = PAUSE_FIRST;
    let mut tries = 1;
    loop {
        let refused = match put().await {
            Ok(()) => return Ok(Created::Ours),
            Err(error) => error,
        };
        if refused.kind() == ErrorKind::Config {
            return Err(refused);
        }
        let open = match look().await {
            Ok(Found::Same) => return Ok(Created::Ours),
            Ok(Found::Other) => return Ok(Created::Others),
            Ok(Found::Nothing) => refused,
            Err(error) if error.kind() == ErrorKind::Transient => error,
            Err(error) => return Err(error),
        };
        if tries_max <= tries {
            return Err(open);
        }
        tries += 1;
        clock.sleep(pause).await;
        pause = (2 * pause).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use chrono::DateTime;
    use model::ManualClock;

    use super::*;

    fn error(doing: &'static str, kind: ErrorKind) -> Error {
        let (path, source) = (String::new(), doing.into());
        let source = match kind {
            ErrorKind::Config => object_store::Error::PermissionDenied { path, source },
            _ => object_store::Error::Generic { store: "test", source },
        };
        assert_eq!(crate::error::store_kind(&source), kind);
        Error::PollStore { doing, key: String::new(), source }
    }

    /// Creates with the given answers in turn; returns the outcome and the tries that it took.
    async fn outcome(
        puts: &[Option<ErrorKind>],
        looks: &[Result<Found, ErrorKind>],
    ) -> (Result<Created, &'static str>, usize) {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let (puts, looks) = (Mutex::new(puts.iter()), Mutex::new(looks.iter()));
        let tries = Mutex::new(0);
        let put = || {
            *tries.lock().unwrap() += 1;
            let answer = *puts.lock().unwrap().next().expect("one more try");
            async move { answer.map_or(Ok(()), |kind| Err(error("creating", kind))) }
        };
        let look = || {
            let answer = *looks.lock().unwrap().next().expect("one more look");
            async move { answer.map_err(|kind| error("looking", kind)) }
        };
        let created = create(&clock, 3, put, look).await.map_err(|error| match error {
            Error::PollStore { doing, .. } => doing,
            other => panic!("{other:?}"),
        });
        let tries = *tries.lock().unwrap();
        (created, tries)
    }

    #[tokio::test]
    async fn whatever_the_store_says_what_is_there_decides() {
        const LOST: Option<ErrorKind> = Some(ErrorKind::Transient);
        let nothing = Ok(Found::Nothing);
        assert_eq!(outcome(&[None], &[]).await, (Ok(Created::Ours), 1));
        assert_eq!(outcome(&[LOST], &[Ok(Found::Same)]).await, (Ok(Created::Ours), 1));
        assert_eq!(outcome(&[LOST], &[Ok(Found::Other)]).await, (Ok(Created::Others), 1));
        assert_eq!(outcome(&[LOST, None], &[nothing]).await, (Ok(Created::Ours), 2));
        let lost = outcome(&[LOST; 3], &[nothing; 3]).await;
        assert_eq!(lost, (Err("creating"), 3), "the outcome is open");
        let away = Err(ErrorKind::Transient);
        let found = [away, Ok(Found::Same)];
        assert_eq!(outcome(&[LOST; 2], &found).await, (Ok(Created::Ours), 2));
        assert_eq!(outcome(&[LOST; 3], &[away; 3]).await, (Err("looking"), 3));
        // What an operator has to mend is not tried again.
        let refused = Some(ErrorKind::Config);
        assert_eq!(outcome(&[refused], &[]).await, (Err("creating"), 1));
        assert_eq!(outcome(&[LOST], &[Err(ErrorKind::Config)]).await, (Err("looking"), 1));
    }
}
