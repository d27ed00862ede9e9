//! Globs as Hadoop understands them: `*`, `?`, `[a-c]`, `[^a]`, `{a,b}`, and `\` before any of them.
//!
//! A glob is compiled to a small program that runs over all its alternatives at once, so that no
//! pattern and no name makes matching slow.

mod compile;
#[cfg(test)]
mod tests;

use std::fmt;

/// A compiled glob. `*` and `?` stay inside of a folder unless it is permissive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    source: String,
    steps: Vec<Step>,
    is_permissive: bool,
}

/// One step of the program. Steps that go elsewhere name the step's index.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// One letter.
    Letter(char),
    /// Any letter, of the same folder unless the glob is permissive.
    Any,
    /// One letter out of ranges, or outside of all of them.
    Class { is_negated: bool, ranges: Vec<(char, char)> },
    /// Go on at both.
    Both(usize, usize),
    /// Go on there.
    Jump(usize),
    /// The glob is fulfilled.
    Done,
}

impl Glob {
    /// Compiles a glob for names of files, or for paths of which `*` matches a part at a time.
    ///
    /// # Errors
    /// A class or a group that is never closed, an empty class, a range that runs backwards, a `\`
    /// before nothing, or a glob that is too long.
    pub fn new(pattern: &str) -> Result<Self, String> {
        Ok(Self {
            source: pattern.to_owned(),
            steps: compile::steps(pattern)?,
            is_permissive: false,
        })
    }

    /// Compiles a glob whose `*` and `?` match slashes too, and which is fulfilled as soon as the
    /// beginning of a path is.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn permissive(pattern: &str) -> Result<Self, String> {
        Ok(Self { is_permissive: true, ..Self::new(pattern)? })
    }

    /// Whether the glob matches all of `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut run = Run::new(self);
        for letter in name.chars() {
            run.advance(letter);
        }
        run.is_done()
    }

    /// Whether the glob matches the path or a folder that the path lies in; of a permissive one,
    /// any beginning of the path.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        let mut run = Run::new(self);
        for letter in path.chars() {
            if run.is_done() && (self.is_permissive || letter == '/') {
                return true;
            }
            if run.is_lost() {
                return false;
            }
            run.advance(letter);
        }
        run.is_done()
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Where matching stands: all steps that wait for the next letter.
struct Run<'g> {
    glob: &'g Glob,
    waiting: Vec<usize>,
    next: Vec<usize>,
    is_waiting: Vec<bool>,
}

impl<'g> Run<'g> {
    fn new(glob: &'g Glob) -> Self {
        let mut run = Self {
            glob,
            waiting: Vec::new(),
            next: Vec::new(),
            is_waiting: vec![false; glob.steps.len()],
        };
        run.add(0);
        std::mem::swap(&mut run.waiting, &mut run.next);
        run
    }

    /// Adds a step, and those it goes on at, to the next ones.
    fn add(&mut self, first: usize) {
        let mut open = vec![first];
        while let Some(index) = open.pop() {
            match self.is_waiting.get_mut(index) {
                Some(is_waiting) if !*is_waiting => *is_waiting = true,
                _ => continue,
            }
            match self.glob.steps.get(index) {
                Some(Step::Both(left, right)) => open.extend([*left, *right]),
                Some(Step::Jump(target)) => open.push(*target),
                _ => self.next.push(index),
            }
        }
    }

    fn advance(&mut self, letter: char) {
        self.is_waiting.fill(false);
        let waiting = std::mem::take(&mut self.waiting);
        for index in &waiting {
            let takes = match self.glob.steps.get(*index) {
                Some(Step::Letter(wanted)) => *wanted == letter,
                Some(Step::Any) => self.crosses(letter),
                Some(Step::Class { is_negated, ranges }) => {
                    let is_in = ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
                    is_in != *is_negated && self.crosses(letter)
                }
                _ => false,
            };
            if takes {
                self.add(index + 1);
            }
        }
        self.waiting = std::mem::replace(&mut self.next, waiting);
        self.next.clear();
    }

    fn crosses(&self, letter: char) -> bool {
        letter != '/' || self.glob.is_permissive
    }

    fn is_done(&self) -> bool {
        self.waiting.iter().any(|index| self.glob.steps.get(*index) == Some(&Step::Done))
    }

    fn is_lost(&self) -> bool {
        self.waiting.is_empty()
    }
}
