//! Progress of long work on standard error: bars on a terminal, now and then a log line elsewhere.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use model::Clock;

use crate::{
    failure::Failure,
    supervise::{Stage, Step},
};

/// How often a log line tells of work that no bar shows.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// How often a bar is drawn anew although nothing was counted: it shows that the work is alive.
const DRAW_EVERY: Duration = Duration::from_millis(100);

const OF_TOTAL: &str =
    "{prefix:>9} {wide_bar:.cyan/dim} {human_pos}/{human_len} {unit}, {per_sec}, {eta} left ";
const COUNTED: &str =
    "{prefix:>9} {spinner:.cyan} {human_pos} {unit}, {per_sec}, {elapsed} {wide_msg}";

/// The bars of this process; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bars(MultiProgress);

impl Bars {
    /// Whether anybody sees them: standard error is a terminal.
    pub(crate) fn are_visible(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Returns a writer to standard error whose lines stay above the bars.
    pub(crate) fn lines(&self) -> Lines {
        Lines(self.0.clone())
    }

    /// Begins to show `name` at work on `unit`s; `total` is 0 when nobody knows how many.
    pub(crate) fn begin(
        &self,
        name: &'static str,
        unit: &'static str,
        total: u64,
        clock: Arc<dyn Clock>,
    ) -> Work {
        let bar = self.0.add(ProgressBar::no_length().with_prefix(name));
        bar.enable_steady_tick(DRAW_EVERY);
        let now = clock.monotonic();
        let mut work = Work { name, unit, bar, total: 0, clock, began: now, logged: now };
        work.bar.set_style(style(COUNTED, unit));
        work.expect(total);
        work
    }
}

/// A template's unit is part of its text.
fn style(template: &str, unit: &str) -> ProgressStyle {
    ProgressStyle::with_template(&template.replace("{unit}", unit))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("per_sec", |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let rate = state.per_sec().max(0.0).round();
            // What cannot be formatted is drawn without the rate.
            write!(out, "{rate}/s").ok();
        })
}

/// A piece of work that is shown; its bar is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Work {
    name: &'static str,
    unit: &'static str,
    bar: ProgressBar,
    total: u64,
    clock: Arc<dyn Clock>,
    began: Duration,
    logged: Duration,
}

impl Work {
    /// Adds to the total.
    pub(crate) fn expect(&mut self, more: u64) {
        if more == 0 {
            return;
        }
        if self.total == 0 {
            self.bar.set_style(style(OF_TOTAL, self.unit));
        }
        self.total += more;
        self.bar.set_length(self.total);
    }

    /// Sets the total to what is done, what is about to be, and what waits behind it.
    pub(crate) fn expect_in_all(&mut self, next: u64, waiting: u64) {
        let total = self.bar.position() + next + waiting;
        self.expect(total.saturating_sub(self.total));
    }

    /// Counts what was done.
    pub(crate) fn advance(&mut self, count: u64) {
        self.bar.inc(count);
        if self.total != 0 && self.total < self.bar.position() {
            // More came while the work was under way.
            self.total = self.bar.position();
            self.bar.set_length(self.total);
        }
        let now = self.clock.monotonic();
        if self.bar.is_hidden() && LOG_EVERY <= now.saturating_sub(self.logged) {
            self.logged = now;
            tracing::info!(stage = self.name, "{}", self.summary(now));
        }
    }

    /// Says what the work is at, or waits for.
    pub(crate) fn at(&self, place: &str) {
        self.bar.set_message(place.to_owned());
    }

    fn summary(&self, now: Duration) -> String {
        let seconds = now.saturating_sub(self.began).as_secs_f64();
        let count = HumanCount(self.bar.position());
        format!("{count} {} in {seconds:.1} s", self.unit)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if self.bar.position() != 0 {
            let summary = self.summary(self.clock.monotonic());
            tracing::info!(stage = self.name, "done: {summary}");
        }
    }
}

/// Writes to standard error, above the bars.
#[derive(Debug)]
pub(crate) struct Lines(MultiProgress);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// A stage whose work is shown.
pub(crate) struct Shown {
    pub(crate) stage: Box<dyn Stage>,
    pub(crate) work: Work,
}

#[async_trait]
impl Stage for Shown {
    async fn run_once(&mut self) -> Result<Step, Failure> {
        let step = self.stage.run_once().await?;
        self.work.advance(step.rows);
        self.work.at(step.waits_for.as_deref().unwrap_or_default());
        Ok(step)
    }

    async fn end(&mut self) {
        self.stage.end().await;
    }
}
