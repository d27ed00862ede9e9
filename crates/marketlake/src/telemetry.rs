//! What the program says while it runs: on standard error, and never a known secret.

use std::io::{self, Write};

use secrets::Redactor;
use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, util::SubscriberInitExt};

use crate::{
    config::{LogConfig, LogFormat},
    failure::Failure,
    progress::Bars,
};

/// Our crates: a level without a name is about them. Libraries say only what went wrong, for
/// their finer levels tell how they work, at length.
const OURS: [&str; 8] =
    ["marketlake", "ingest", "autoloader", "lake", "serve", "simulator", "secrets", "model"];

/// Libraries whose finer levels print addresses and headers, with the credentials in them.
/// They stay at `warn` even when asked.
const QUIET: [&str; 7] =
    ["hyper", "hyper_util", "h2", "reqwest", "rustls", "object_store", "rusqlite"];

/// Calls a lost race an error. It is how two instances agree; `lake` says when it is one.
const SILENT: &str = "deltalake_core::kernel::transaction=off";

/// Returns the filter in the library's terms.
fn directives(level: &str) -> String {
    let parts: Vec<&str> = level.split(',').map(str::trim).collect();
    let bare = parts.iter().rev().find(|part| !part.contains('=')).copied().unwrap_or("info");
    // What is quieter than `warn` for us is not louder for libraries.
    let libraries = if matches!(bare, "off" | "error") { bare } else { "warn" };
    let ours = OURS.iter().map(|name| format!("{name}={bare}"));
    let named = parts.iter().filter(|part| part.contains('=')).map(|part| (*part).to_owned());
    let quiet = QUIET.iter().map(|name| format!("{name}={libraries}"));
    let first = [libraries.to_owned(), SILENT.to_owned()];
    let all: Vec<String> = first.into_iter().chain(ours).chain(named).chain(quiet).collect();
    all.join(",")
}

/// Starts logging for the whole process, panics included.
///
/// # Errors
/// Somebody else has started it before: a bug.
pub(crate) fn init(
    log: &LogConfig,
    redactor: &Redactor,
    has_color: bool,
    bars: Bars,
) -> Result<(), Failure> {
    let subscriber = subscriber(log, redactor.clone(), has_color, move || bars.lines());
    subscriber
        .try_init()
        .map_err(|error| Failure::internal(format!("starting the log: {error}")))?;
    let redactor = redactor.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.to_string();
        tracing::error!("{}", redactor.scrub(&text).replace('\n', ": "));
    }));
    Ok(())
}

/// Builds the subscriber; tests give it a writer of their own.
fn subscriber<F, W>(
    log: &LogConfig,
    redactor: Redactor,
    has_color: bool,
    open: F,
) -> Box<dyn Subscriber + Send + Sync>
where
    F: Fn() -> W + Send + Sync + 'static,
    W: Write + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives(&log.level)))
        .with_writer(Scrubbed { redactor, open })
        .with_ansi(has_color && log.format == LogFormat::Text);
    match log.format {
        LogFormat::Text => Box::new(builder.with_target(false).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

/// Hands out one writer per log line.
struct Scrubbed<F> {
    redactor: Redactor,
    open: F,
}

impl<'a, W: Write + 'static, F: Fn() -> W> MakeWriter<'a> for Scrubbed<F> {
    type Writer = Line<W>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { redactor: self.redactor.clone(), to: (self.open)(), bytes: Vec::new() }
    }
}

/// Collects a line, for a secret may be split over several writes, and passes it on scrubbed.
struct Line<W: Write> {
    redactor: Redactor,
    to: W,
    bytes: Vec<u8>,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for Line<W> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        // A log that cannot be written has nowhere to say so.
        drop(self.to.write_all(self.redactor.scrub(&text).as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        io::{self, Write},
    };

    use secrets::{Redactor, Secret};

    use super::subscriber;
    use crate::config::{LogConfig, LogFormat};

    thread_local! {
        static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    struct ToMemory;

    impl Write for ToMemory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            WRITTEN.with_borrow_mut(|written| written.extend_from_slice(bytes));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, log: impl FnOnce()) -> String {
        let redactor = Redactor::default();
        redactor.register(&Secret::new("cnry-\"0123".to_owned()));
        let config = LogConfig { level: level.to_owned(), format };
        let subscriber = subscriber(&config, redactor, false, || ToMemory);
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(WRITTEN.take()).unwrap()
    }

    #[test]
    fn no_field_or_format_lets_a_secret_through() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged("trace", format, || {
                let secret = "cnry-\"0123";
                tracing::trace!(key = secret, debug = ?secret, "message cnry-\"0123");
                tracing::info!("encoded cnry-%220123");
            });
            assert!(text.contains("[redacted]") && !text.contains("cnry"), "{text}");
        }
    }

    #[test]
    fn libraries_that_print_addresses_stay_quiet() {
        let text = logged("trace", LogFormat::Text, || {
            tracing::trace!(target: "hyper::client", "GET /?access_key=unknown");
            tracing::debug!(target: "reqwest", "GET /?access_key=unknown");
            tracing::trace!(target: "ingest", "wanted");
        });
        assert!(text.contains("wanted") && !text.contains("access_key"), "{text}");
        let text = logged("info", LogFormat::Text, || {
            tracing::info!(target: "delta_kernel::snapshot", "library");
            tracing::info!(target: "lake::table", "ours");
        });
        assert!(text.contains("ours") && !text.contains("library"), "{text}");
        let text = logged("info,datafusion=debug", LogFormat::Text, || {
            tracing::debug!(target: "datafusion::optimizer", "asked for");
        });
        assert!(text.contains("asked for"), "{text}");
        let text = logged("off", LogFormat::Text, || tracing::error!(target: "hyper", "no"));
        assert_eq!(text, "");
    }
}
