//! From a glob's text to its steps.

use std::{iter::Peekable, str::Chars};

use super::Step;

/// Longest glob accepted: steps, and the time to match, grow with it.
const GLOB_CHARS_MAX: usize = 1024;

/// Deepest nesting of `{…}`: compiling recurses this far.
const NESTING_MAX: usize = 16;

/// Compiles a glob.
pub(super) fn steps(pattern: &str) -> Result<Vec<Step>, String> {
    if GLOB_CHARS_MAX < pattern.chars().count() {
        return Err(format!("a glob has {GLOB_CHARS_MAX} letters at most"));
    }
    let mut compiler = Compiler { letters: pattern.chars().peekable(), steps: Vec::new() };
    compiler.sequence(0).map_err(|problem| format!("`{pattern}` is no glob: {problem}"))?;
    compiler.steps.push(Step::Done);
    Ok(compiler.steps)
}

struct Compiler<'p> {
    letters: Peekable<Chars<'p>>,
    steps: Vec<Step>,
}

impl Compiler<'_> {
    /// Compiles up to the end; inside of a group, up to the `,` or `}` that ends the alternative.
    fn sequence(&mut self, depth: usize) -> Result<(), String> {
        while let Some(letter) =
            self.letters.next_if(|letter| depth == 0 || !matches!(letter, ',' | '}'))
        {
            match letter {
                '\\' => {
                    let escaped = self.letters.next().ok_or("a `\\` stands before nothing")?;
                    self.steps.push(Step::Letter(escaped));
                }
                '?' => self.steps.push(Step::Any),
                '*' => {
                    let at = self.steps.len();
                    self.steps.extend([Step::Both(at + 1, at + 3), Step::Any, Step::Jump(at)]);
                }
                '[' => {
                    let class = self.class()?;
                    self.steps.push(class);
                }
                '{' if depth == NESTING_MAX => {
                    return Err(format!("groups nest {NESTING_MAX} deep at most"));
                }
                '{' => self.group(depth + 1)?,
                _ => self.steps.push(Step::Letter(letter)),
            }
        }
        Ok(())
    }

    /// Compiles the alternatives behind a `{`.
    fn group(&mut self, depth: usize) -> Result<(), String> {
        let mut ends = Vec::new();
        loop {
            let fork = self.steps.len();
            self.steps.push(Step::Jump(fork + 1));
            self.sequence(depth)?;
            ends.push(self.steps.len());
            self.steps.push(Step::Done);
            match self.letters.next() {
                Some(',') => self.put(fork, Step::Both(fork + 1, self.steps.len())),
                Some(_) => break,
                None => return Err("a `{` is never closed".to_owned()),
            }
        }
        let behind = self.steps.len();
        for end in ends {
            self.put(end, Step::Jump(behind));
        }
        Ok(())
    }

    /// Replaces a step that stood in for this one.
    fn put(&mut self, at: usize, step: Step) {
        if let Some(place) = self.steps.get_mut(at) {
            *place = step;
        }
    }

    /// Compiles what stands behind a `[`.
    fn class(&mut self) -> Result<Step, String> {
        let is_negated = self.letters.next_if(|letter| matches!(letter, '^' | '!')).is_some();
        let mut ranges = Vec::new();
        loop {
            let from = match self.letters.next() {
                None => return Err("a `[` is never closed".to_owned()),
                Some(']') if ranges.is_empty() => return Err("a class is empty".to_owned()),
                Some(']') => break,
                Some(letter) => self.plain(letter)?,
            };
            let to = match self.range_end()? {
                Some(to) if to < from => {
                    return Err(format!("the range `{from}-{to}` runs backwards"));
                }
                Some(to) => to,
                None => from,
            };
            ranges.push((from, to));
        }
        Ok(Step::Class { is_negated, ranges })
    }

    /// Reads the end of a range, if a `-` and a letter follow; a `-` before the `]` is itself.
    fn range_end(&mut self) -> Result<Option<char>, String> {
        let mut ahead = self.letters.clone();
        let is_range =
            ahead.next() == Some('-') && ahead.next().is_some_and(|letter| letter != ']');
        if !is_range {
            return Ok(None);
        }
        self.letters.next();
        let letter = self.letters.next().unwrap_or('-');
        self.plain(letter).map(Some)
    }

    fn plain(&mut self, letter: char) -> Result<char, String> {
        match letter {
            '\\' => self.letters.next().ok_or_else(|| "a `\\` stands before nothing".to_owned()),
            _ => Ok(letter),
        }
    }
}
