//! What a predicate can be for the rows of a file: true, false, null, or several of them.

/// The possible answers; more than there really are is allowed, fewer is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) can_be_true: bool,
    pub(super) can_be_false: bool,
    pub(super) can_be_null: bool,
}

impl Truth {
    pub(super) const TRUE: Self =
        Self { can_be_true: true, can_be_false: false, can_be_null: false };
    pub(super) const FALSE: Self =
        Self { can_be_true: false, can_be_false: true, can_be_null: false };
    /// Nothing is known.
    pub(super) const ANY: Self = Self { can_be_true: true, can_be_false: true, can_be_null: true };

    /// As SQL's `AND`: false beats null, null beats true.
    pub(super) fn and(self, other: Self) -> Self {
        let (left, right) = (self, other);
        Self {
            can_be_true: left.can_be_true && right.can_be_true,
            can_be_false: left.can_be_false || right.can_be_false,
            can_be_null: (left.can_be_null && (right.can_be_null || right.can_be_true))
                || (left.can_be_true && right.can_be_null),
        }
    }

    /// As SQL's `OR`: what `AND` is to the opposites.
    pub(super) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    pub(super) fn not(self) -> Self {
        Self { can_be_true: self.can_be_false, can_be_false: self.can_be_true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth;

    /// SQL's three answers.
    const ANSWERS: [Option<bool>; 3] = [Some(true), Some(false), None];

    fn every() -> impl Iterator<Item = Truth> {
        (1..8).map(|bits: u8| Truth {
            can_be_true: bits & 1 != 0,
            can_be_false: bits & 2 != 0,
            can_be_null: bits & 4 != 0,
        })
    }

    fn has(truth: Truth, answer: Option<bool>) -> bool {
        match answer {
            Some(true) => truth.can_be_true,
            Some(false) => truth.can_be_false,
            None => truth.can_be_null,
        }
    }

    fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
        match (left, right) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }

    #[test]
    fn no_answer_of_sql_is_forgotten_and_none_is_added() {
        for (left, right) in every().flat_map(|left| every().map(move |right| (left, right))) {
            for wanted in ANSWERS {
                let pairs = || {
                    let of = |truth| ANSWERS.into_iter().filter(move |answer| has(truth, *answer));
                    of(left).flat_map(move |one| of(right).map(move |other| (one, other)))
                };
                let expected = pairs().any(|(one, other)| and(one, other) == wanted);
                assert_eq!(has(left.and(right), wanted), expected, "{left:?} and {right:?}");
                let not = |answer: Option<bool>| answer.map(|answer| !answer);
                let expected = pairs().any(|(one, other)| not(and(not(one), not(other))) == wanted);
                assert_eq!(has(left.or(right), wanted), expected, "{left:?} or {right:?}");
            }
        }
    }
}
