//! Everything that is wrong with the options of a load, told at once.

use std::fmt;

/// One problem, with the option it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionProblem {
    /// The option, as it was written or as it should be.
    pub option: String,
    /// What is wrong, and how to mend it.
    pub problem: String,
}

/// All problems. The values of options that are unknown or refused are not shown: they may be keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionProblems(pub Vec<OptionProblem>);

impl OptionProblems {
    pub(super) fn add(&mut self, option: &str, problem: impl Into<String>) {
        self.0.push(OptionProblem { option: option.to_owned(), problem: problem.into() });
    }

    /// Returns `value`, if there is no problem.
    pub(super) fn unless<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for OptionProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the options have {count} problem{}", if count == 1 { "" } else { "s" })?;
        self.0
            .iter()
            .try_for_each(|OptionProblem { option, problem }| write!(f, "\n{option}: {problem}"))
    }
}

impl std::error::Error for OptionProblems {}
