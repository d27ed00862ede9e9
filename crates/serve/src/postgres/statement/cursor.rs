//! `DECLARE`, `FETCH`, `MOVE` and `CLOSE`: what they ask for, and where it takes the cursor.
//!
//! A cursor reads the rows of a running query, so it goes forward only; PostgreSQL calls such a
//! cursor `NO SCROLL`.

use lake::datafusion::sql::sqlparser::{ast::Query, tokenizer::TokenWithSpan};

use super::{query_of, scan::Scan};
use crate::postgres::failure::Failure;

/// `DECLARE … CURSOR FOR query`.
#[derive(Clone, Debug)]
pub(in crate::postgres) struct Declare {
    pub(in crate::postgres) name: String,
    pub(in crate::postgres) query: Box<Query>,
    pub(in crate::postgres) is_binary: bool,
    /// `WITH HOLD`: it outlives its transaction.
    pub(in crate::postgres) is_held: bool,
}

/// `FETCH` and, with `is_move`, `MOVE`.
#[derive(Clone, Debug)]
pub(in crate::postgres) struct Fetch {
    pub(in crate::postgres) cursor: String,
    pub(in crate::postgres) motion: Motion,
    pub(in crate::postgres) is_move: bool,
}

/// Where to go from the row the cursor is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Motion {
    Forward(u64),
    All,
    /// To the row so many behind this one, and no other.
    Relative(u64),
    /// To the row of this number, and no other.
    Absolute(u64),
    /// Any step that PostgreSQL counts as backward.
    Backward,
}

/// Where a cursor is.
#[derive(Clone, Copy, Debug)]
pub(in crate::postgres) struct Position {
    /// Rows that have been read or passed by; it stands on the last of them.
    pub(in crate::postgres) passed: u64,
    /// It stands behind the last row of all.
    pub(in crate::postgres) is_at_end: bool,
}

/// What a motion comes to from a known position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) struct Step {
    /// Rows to pass by first.
    pub(in crate::postgres) skip: u64,
    /// Rows to hand out after them.
    pub(in crate::postgres) take: u64,
    /// Rows that count though nothing moves.
    pub(in crate::postgres) counted: u64,
}

impl Motion {
    /// Finds out what to do from `position`.
    pub(in crate::postgres) fn step(
        self,
        position: Position,
        is_move: bool,
    ) -> Result<Step, Failure> {
        let Position { passed, is_at_end } = position;
        let is_on_row = passed > 0 && !is_at_end;
        let take = |skip, take| Ok(Step { skip, take, counted: 0 });
        match self {
            Self::Forward(0) | Self::Relative(0) if is_on_row && is_move => {
                Ok(Step { skip: 0, take: 0, counted: 1 })
            }
            // To read the row again, PostgreSQL would go back by one.
            Self::Forward(0) | Self::Relative(0) if is_on_row => Err(backward()),
            Self::Forward(count) => take(0, count),
            Self::All => take(0, u64::MAX),
            Self::Relative(0) => take(0, 0),
            Self::Relative(count) => take(count - 1, 1),
            Self::Absolute(0) if passed == 0 => take(0, 0),
            Self::Absolute(number) if number > passed => take(number - passed - 1, 1),
            Self::Absolute(_) | Self::Backward => Err(backward()),
        }
    }
}

fn backward() -> Failure {
    Failure::new("55000", "cursor can only scan forward")
        .with_hint("Cursors of this server read forward only: turn the ORDER BY of the query.")
}

/// `DECLARE name [BINARY] [INSENSITIVE | ASENSITIVE] [[NO] SCROLL] CURSOR
/// [{WITH | WITHOUT} HOLD] FOR query`.
pub(super) fn declare(tokens: Vec<TokenWithSpan>) -> Result<Declare, Failure> {
    let mut scan = Scan::new(&tokens);
    scan.next();
    let name = scan.name()?;
    let (mut is_binary, mut is_held) = (false, false);
    loop {
        match scan.peek_keyword().as_deref() {
            Some("binary") => is_binary = true,
            // A result never changes once its query runs.
            Some("insensitive" | "asensitive") => (),
            Some("no") => {
                scan.next();
                if scan.peek_keyword().as_deref() != Some("scroll") {
                    return Err(scan.unexpected());
                }
            }
            Some("scroll") => {
                return Err(Failure::unsupported("SCROLL cursors are not supported")
                    .with_hint("Declare it without SCROLL and fetch forward."));
            }
            Some("cursor") => break,
            _ => return Err(scan.unexpected()),
        }
        scan.next();
    }
    scan.next();
    let is_with = scan.take_keyword("with");
    if is_with || scan.take_keyword("without") {
        is_held = is_with;
        if !scan.take_keyword("hold") {
            return Err(scan.unexpected());
        }
    }
    if !scan.take_keyword("for") {
        return Err(scan.unexpected());
    }
    let start = scan.position();
    let query = query_of(tokens.into_iter().skip(start).collect())?;
    Ok(Declare { name, query, is_binary, is_held })
}

/// `FETCH [direction] [FROM | IN] cursor`, and `MOVE` alike.
pub(super) fn fetch(tokens: &[TokenWithSpan], is_move: bool) -> Result<Fetch, Failure> {
    let mut scan = Scan::new(tokens);
    scan.next();
    let motion = motion(&mut scan)?;
    if !scan.take_keyword("from") {
        scan.take_keyword("in");
    }
    let cursor = scan.name()?;
    scan.end()?;
    Ok(Fetch { cursor, motion, is_move })
}

fn motion(scan: &mut Scan<'_>) -> Result<Motion, Failure> {
    if let Some(count) = scan.take_integer()? {
        return Ok(forward(count));
    }
    let Some(word) = scan.peek_keyword() else { return Ok(Motion::Forward(1)) };
    // `FETCH next` reads from a cursor of that name.
    let is_cursor = scan.is_last();
    let motion = match word.as_str() {
        _ if is_cursor => return Ok(Motion::Forward(1)),
        "next" => Motion::Forward(1),
        "all" => Motion::All,
        "prior" | "last" => Motion::Backward,
        "first" => Motion::Absolute(1),
        "absolute" | "relative" => {
            scan.next();
            let count = scan.take_integer()?.ok_or_else(|| scan.unexpected())?;
            return Ok(match u64::try_from(count) {
                Ok(count) if word == "absolute" => Motion::Absolute(count),
                Ok(count) => Motion::Relative(count),
                Err(_) => Motion::Backward,
            });
        }
        "forward" | "backward" => {
            scan.next();
            let is_forward = word == "forward";
            if scan.peek_keyword().as_deref() == Some("all") && !scan.is_last() {
                scan.next();
                return Ok(if is_forward { Motion::All } else { Motion::Backward });
            }
            let count = scan.take_integer()?.unwrap_or(1);
            return Ok(forward(if is_forward { count } else { -count }));
        }
        _ => return Ok(Motion::Forward(1)),
    };
    scan.next();
    Ok(motion)
}

fn forward(count: i64) -> Motion {
    u64::try_from(count).map_or(Motion::Backward, Motion::Forward)
}

/// `CLOSE name`, or `CLOSE ALL` as `None`.
pub(super) fn close(tokens: &[TokenWithSpan]) -> Result<Option<String>, Failure> {
    let mut scan = Scan::new(tokens);
    scan.next();
    let name = if scan.take_keyword("all") { None } else { Some(scan.name()?) };
    scan.end()?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::statement::{
        Command,
        tests::{judged, refused},
    };

    #[test]
    fn a_declaration_says_what_kind_of_cursor_it_makes() {
        for (text, name, is_binary, is_held) in [
            ("declare c cursor for select 1", "c", false, false),
            ("DECLARE \"My C\" NO SCROLL CURSOR WITHOUT HOLD FOR (select 1)", "My C", false, false),
            ("declare C binary insensitive cursor with hold for values (1)", "c", true, true),
            ("declare c asensitive no scroll binary cursor for table t", "c", true, false),
            ("declare c cursor for with x as (select 1) select * from x", "c", false, false),
        ] {
            let Ok(Command::Declare(declare)) = judged(text) else { panic!("{text}") };
            let found = (declare.name.as_str(), declare.is_binary, declare.is_held);
            assert_eq!(found, (name, is_binary, is_held), "{text}");
        }
    }

    #[test]
    fn what_is_no_declaration_of_a_query_is_refused() {
        refused("declare c scroll cursor for select 1", "0A000");
        for text in [
            "declare",
            "declare c",
            "declare c cursor",
            "declare c cursor for",
            "declare c cursor with for select 1",
            "declare c no cursor for select 1",
            "declare c cursor for declare d cursor for select 1",
            "declare c cursor for insert into t values (1)",
            "declare 'c' cursor for select 1",
            "fetch",
            "fetch 1",
            "fetch 1.5 from c",
            "fetch - from c",
            "fetch absolute from c",
            "fetch from c d",
            "close",
            "close c d",
        ] {
            refused(text, "42601");
        }
        refused("declare c cursor for select * from t for update", "25006");
    }

    #[test]
    fn a_fetch_says_which_rows_of_which_cursor() {
        for (text, motion) in [
            ("fetch c", Motion::Forward(1)),
            ("fetch from c", Motion::Forward(1)),
            ("fetch next from c", Motion::Forward(1)),
            ("fetch NEXT c", Motion::Forward(1)),
            ("fetch 5 c", Motion::Forward(5)),
            ("fetch +5 in c", Motion::Forward(5)),
            ("fetch forward from c", Motion::Forward(1)),
            ("fetch forward 7 from c", Motion::Forward(7)),
            ("fetch all from c", Motion::All),
            ("fetch forward all in \"c\"", Motion::All),
            ("fetch 99999999999999999999 from c", Motion::Forward(i64::MAX.unsigned_abs())),
            ("fetch first from c", Motion::Absolute(1)),
            ("fetch absolute 3 from c", Motion::Absolute(3)),
            ("fetch relative 3 from c", Motion::Relative(3)),
            ("fetch prior from c", Motion::Backward),
            ("fetch last from c", Motion::Backward),
            ("fetch -1 from c", Motion::Backward),
            ("fetch absolute -1 from c", Motion::Backward),
            ("fetch relative -2 from c", Motion::Backward),
            ("fetch backward all from c", Motion::Backward),
            ("fetch backward 2 from c", Motion::Backward),
            ("fetch backward -2 from c", Motion::Forward(2)),
        ] {
            let Ok(Command::Fetch(fetch)) = judged(text) else { panic!("{text}") };
            assert_eq!((fetch.motion, fetch.cursor.as_str()), (motion, "c"), "{text}");
            assert!(!fetch.is_move, "{text}");
        }
        let Ok(Command::Fetch(fetch)) = judged("move forward 3 in next") else { panic!("a move") };
        assert_eq!((fetch.cursor.as_str(), fetch.is_move), ("next", true));
        let Ok(Command::Fetch(fetch)) = judged("fetch all") else { panic!("a cursor") };
        assert_eq!((fetch.cursor.as_str(), fetch.motion), ("all", Motion::Forward(1)));
    }

    #[test]
    fn a_cursor_never_goes_back() {
        let step = |skip, take, counted| Some(Step { skip, take, counted });
        for (motion, passed, is_at_end, is_move, expected) in [
            (Motion::Forward(5), 3, false, false, step(0, 5, 0)),
            (Motion::All, 3, false, false, step(0, u64::MAX, 0)),
            (Motion::Relative(4), 3, false, false, step(3, 1, 0)),
            (Motion::Absolute(4), 3, false, false, step(0, 1, 0)),
            (Motion::Absolute(10), 3, false, true, step(6, 1, 0)),
            (Motion::Absolute(3), 3, false, false, None),
            (Motion::Absolute(1), 3, false, false, None),
            (Motion::Absolute(0), 0, false, false, step(0, 0, 0)),
            (Motion::Absolute(0), 1, false, false, None),
            (Motion::Backward, 0, false, true, None),
            // The row it is on: MOVE counts it, FETCH would have to go back for it.
            (Motion::Forward(0), 3, false, true, step(0, 0, 1)),
            (Motion::Forward(0), 3, false, false, None),
            (Motion::Relative(0), 3, false, false, None),
            (Motion::Forward(0), 0, false, false, step(0, 0, 0)),
            (Motion::Relative(0), 3, true, false, step(0, 0, 0)),
        ] {
            let found = motion.step(Position { passed, is_at_end }, is_move);
            let what = format!("{motion:?} from {passed}, move: {is_move}");
            match expected {
                Some(expected) => assert_eq!(found, Ok(expected), "{what}"),
                None => assert_eq!(found.unwrap_err().code, "55000", "{what}"),
            }
        }
    }
}
