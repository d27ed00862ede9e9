//! How much of a source one look lists, and what a full listing must not find. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::files::{options::Discovery, plan::Found, seen::Seen};

/// How often everything is listed where hints or a window would do and `backfillInterval` is not
/// given. A day: a bucket of a million files costs a thousand LIST requests, half a cent.
const BACKFILL_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);

/// How much one look lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything.
    Everything(Expected),
    /// What comes after this path by name.
    After(String),
    /// Nothing but the places that hints name.
    Hinted,
}

/// Which news a full listing may find without anything having been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any: listing is how files are found here, or the stream is new.
    Anything,
    /// Only after this path: the window begins there.
    After(String),
    /// None: hints should have named every file.
    Nothing,
}

/// What a discoverer knows of the looks before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// When everything was listed last.
    pub(super) ts_swept: Option<DateTime<Utc>>,
    /// Hints were lost, or were not kept while nobody received them.
    pub(super) has_gap: bool,
}

/// Decides how much a look lists.
///
/// | hints | window | full listing due | lists |
/// |---|---|---|---|
/// | no | no | | everything, each time |
/// | any | any | never before, or hints lost, or for `backfillInterval` | everything, as a proof |
/// | any | reaches back before the first name | | everything |
/// | any | yes | no | what comes after the window's beginning |
/// | yes | no | no | nothing |
pub(super) fn reach(
    discovery: &Discovery,
    has_hints: bool,
    seen: &Seen,
    past: Past,
    now: DateTime<Utc>,
) -> Reach {
    let start = discovery.window.map(|window| seen.path_before_last(window).map(str::to_owned));
    if !has_hints && start.is_none() {
        return Reach::Everything(Expected::Anything);
    }
    let interval = discovery.backfill_interval.unwrap_or(BACKFILL_DEFAULT);
    let is_due = past.ts_swept.is_none_or(|swept| {
        // A clock that was set back must not put the proof off for as long.
        now < swept || (now - swept).to_std().is_ok_and(|since| interval <= since)
    });
    match start {
        Some(None) => Reach::Everything(Expected::Anything),
        _ if past.ts_swept.is_none() => Reach::Everything(Expected::Anything),
        Some(Some(start)) if is_due || past.has_gap => Reach::Everything(Expected::After(start)),
        Some(Some(start)) => Reach::After(start),
        None if past.has_gap => Reach::Everything(Expected::Anything),
        None if is_due => Reach::Everything(Expected::Nothing),
        None => Reach::Hinted,
    }
}

impl Reach {
    /// Returns the path after which is listed.
    pub(super) fn start(&self) -> Option<&str> {
        match self {
            Self::After(start) => Some(start),
            Self::Everything(_) | Self::Hinted => None,
        }
    }

    /// Returns how a file came to be found that a listing of this reach named.
    pub(super) fn found(&self, path: &str) -> Found {
        match self {
            Self::Everything(Expected::Nothing) => Found::Sweep,
            Self::Everything(Expected::After(start)) if path <= start.as_str() => Found::Sweep,
            Self::Everything(_) | Self::After(_) | Self::Hinted => Found::Listing,
        }
    }

    /// Whether a new file of this path came in behind the window.
    pub(super) fn is_late(&self, path: &str) -> bool {
        matches!(self, Self::Everything(Expected::After(start)) if path <= start.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::discover::tests::{at, discovery, seen};

    struct Case {
        name: &'static str,
        has_hints: bool,
        window: Option<u64>,
        backfill: Option<u64>,
        seen: &'static [&'static str],
        /// Seconds of the last full listing; now is 1,000,000.
        ts_swept: Option<i64>,
        has_gap: bool,
        expected: Reach,
    }

    const PLAIN: Case = Case {
        name: "",
        has_hints: false,
        window: None,
        backfill: None,
        seen: &["a", "b", "c", "d"],
        ts_swept: Some(999_999),
        has_gap: false,
        expected: Reach::Hinted,
    };

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn as_much_is_listed_as_documented() {
        use Expected::{After as Behind, Anything, Nothing};
        use Reach::{After, Everything};

        let b = || "b".to_owned();
        let cases = [
            Case { name: "listing mode lists everything", expected: Everything(Anything), ..PLAIN },
            Case {
                name: "listing mode needs no backfill",
                backfill: Some(1),
                expected: Everything(Anything),
                ..PLAIN
            },
            Case { name: "hints alone list nothing", has_hints: true, ..PLAIN },
            Case {
                name: "the first start lists everything, after subscribing",
                has_hints: true,
                seen: &[],
                ts_swept: None,
                expected: Everything(Anything),
                ..PLAIN
            },
            Case {
                name: "a stream that nothing is proven of lists everything, and nobody is blamed",
                has_hints: true,
                ts_swept: None,
                expected: Everything(Anything),
                ..PLAIN
            },
            Case {
                name: "hints are backfilled each backfillInterval",
                has_hints: true,
                backfill: Some(60),
                ts_swept: Some(999_940),
                expected: Everything(Nothing),
                ..PLAIN
            },
            Case {
                name: "and not before",
                has_hints: true,
                backfill: Some(60),
                ts_swept: Some(999_941),
                ..PLAIN
            },
            Case {
                name: "once a day without a backfillInterval",
                has_hints: true,
                ts_swept: Some(1_000_000 - 86_400),
                expected: Everything(Nothing),
                ..PLAIN
            },
            Case {
                name: "a clock set back puts no proof off",
                has_hints: true,
                ts_swept: Some(1_000_001),
                expected: Everything(Nothing),
                ..PLAIN
            },
            Case {
                name: "lost hints are made up for at once, and nobody is blamed",
                has_hints: true,
                has_gap: true,
                expected: Everything(Anything),
                ..PLAIN
            },
            Case {
                name: "a window lists the greatest names again",
                window: Some(2),
                expected: After(b()),
                ..PLAIN
            },
            Case {
                name: "a window of none lists greater names only",
                window: Some(0),
                expected: After("d".to_owned()),
                ..PLAIN
            },
            Case {
                name: "a window wider than the bucket lists everything",
                window: Some(4),
                expected: Everything(Anything),
                ..PLAIN
            },
            Case {
                name: "a window proves itself each backfillInterval",
                window: Some(2),
                backfill: Some(60),
                ts_swept: Some(999_000),
                expected: Everything(Behind(b())),
                ..PLAIN
            },
            Case {
                name: "a window that nothing is proven of, likewise",
                window: Some(2),
                ts_swept: None,
                expected: Everything(Anything),
                ..PLAIN
            },
            Case {
                name: "hints and a window list the window",
                has_hints: true,
                window: Some(2),
                expected: After(b()),
                ..PLAIN
            },
            Case {
                name: "lost hints beside a window list everything",
                has_hints: true,
                window: Some(2),
                has_gap: true,
                expected: Everything(Behind(b())),
                ..PLAIN
            },
        ];
        for case in cases {
            let discovery = Discovery {
                window: case.window,
                backfill_interval: case.backfill.map(Duration::from_secs),
                ..discovery()
            };
            let past = Past { ts_swept: case.ts_swept.map(at), has_gap: case.has_gap };
            let seen = seen(case.seen);
            let found = reach(&discovery, case.has_hints, &seen, past, at(1_000_000));
            assert_eq!(found, case.expected, "{}", case.name);
        }
    }

    #[test]
    fn a_full_listing_says_what_had_been_missed() {
        let behind = Reach::Everything(Expected::After("m".to_owned()));
        for (name, reach, path, found, is_late) in [
            ("found by listing", Reach::Everything(Expected::Anything), "a", Found::Listing, false),
            ("missed by hints", Reach::Everything(Expected::Nothing), "a", Found::Sweep, false),
            ("behind the window", behind.clone(), "a", Found::Sweep, true),
            ("at the window's beginning", behind.clone(), "m", Found::Sweep, true),
            ("inside the window", behind, "n", Found::Listing, false),
            ("found in the window", Reach::After("m".to_owned()), "n", Found::Listing, false),
        ] {
            assert_eq!((reach.found(path), reach.is_late(path)), (found, is_late), "{name}");
        }
    }
}
