//! The audit as files: a line of JSON for each event, in a bounded number of files.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use model::ErrorKind;
use secrets::Redactor;
use serve::audit::{Audit, Event};

use super::Workbench;
use crate::{config::AuditConfig, failure::Failure};

/// The name of the file that is written; older ones have a number behind it, the newest 1.
const FILE: &str = "audit.jsonl";

/// Where events are written down.
#[derive(Debug)]
struct Files {
    path: PathBuf,
    config: AuditConfig,
    redactor: Redactor,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// A disk that is full is told of once, not with every statement.
    has_failed: bool,
}

impl Workbench {
    /// Returns who keeps the audit, if anybody is to.
    pub(crate) fn audit(&self) -> Result<Option<Arc<dyn Audit>>, Failure> {
        let config = self.config.audit;
        if !config.is_enabled {
            return Ok(None);
        }
        let path = self.data.serve().join(FILE);
        let open = open(&path).map_err(|error| {
            Failure::new(ErrorKind::Config, error)
                .context(format!("opening the audit `{}`", path.display()))
        })?;
        let redactor = self.redactor.clone();
        Ok(Some(Arc::new(Files { path, config, redactor, open: Mutex::new(open) })))
    }
}

impl Audit for Files {
    fn record(&self, event: &Event) {
        let Ok(text) = serde_json::to_string(event) else { return };
        let line = format!("{}\n", self.redactor.scrub(&text));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match self.write(&mut open, line.as_bytes()) {
            Ok(()) => open.has_failed = false,
            Err(error) if open.has_failed => tracing::debug!(%error, "writing the audit"),
            Err(error) => {
                open.has_failed = true;
                tracing::error!(%error, path = %self.path.display(), "writing the audit");
            }
        }
    }
}

impl Files {
    fn write(&self, open: &mut Open, line: &[u8]) -> io::Result<()> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if open.bytes > 0 && open.bytes.saturating_add(length) > self.config.file_bytes_max {
            self.turn_over(open)?;
        }
        // In one piece: another process on the data folder may write to the same file.
        open.file.write_all(line)?;
        open.bytes = open.bytes.saturating_add(length);
        Ok(())
    }

    /// Puts the file aside and begins another.
    fn turn_over(&self, open: &mut Open) -> io::Result<()> {
        let mine = open.file.metadata()?.ino();
        // Another process may have done it already.
        if fs::metadata(&self.path).is_ok_and(|present| present.ino() == mine) {
            for number in (1..self.config.files_max.get() - 1).rev() {
                rename(&self.numbered(number), &self.numbered(number + 1))?;
            }
            rename(&self.path, &self.numbered(1))?;
        }
        let has_failed = open.has_failed;
        *open = Open { has_failed, ..self::open(&self.path)? };
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.path.with_added_extension(number.to_string())
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Open { file, bytes, has_failed: false })
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use chrono::DateTime;
    use secrets::Secret;
    use serve::audit::{Act, Outcome};

    use super::*;

    fn files(folder: &Path, file_bytes_max: u64, files_max: u32) -> Files {
        let redactor = Redactor::default();
        redactor.register(&Secret::new("cnry-0123".to_owned()));
        let path = folder.join(FILE);
        let files_max = files_max.try_into().unwrap();
        let config = AuditConfig { is_enabled: true, file_bytes_max, files_max };
        let open = Mutex::new(open(&path).unwrap());
        Files { path, config, redactor, open }
    }

    fn login(application: &str) -> Event {
        Event {
            ts: DateTime::UNIX_EPOCH,
            door: "postgres",
            role: "desk".to_owned(),
            address: [127, 0, 0, 1].into(),
            application: application.to_owned(),
            act: Act::Login { encrypted: false },
            outcome: Outcome::Ok,
        }
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn events_are_lines_of_json_without_known_secrets_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 1 << 20, 2);
        files.record(&login("psql"));
        files.record(&login("cnry-0123\nnext"));
        let lines = lines(&files.path);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["application"], "psql");
        assert_eq!(lines[1]["application"], "[redacted]\nnext");
        assert_eq!(fs::metadata(&files.path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn files_are_bounded_in_size_and_number_and_the_newest_lines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let first = files(folder.path(), 600, 3);
        // Another process on the same folder.
        let second = files(folder.path(), 600, 3);
        for number in 0..40 {
            let writer = if number % 2 == 0 { &first } else { &second };
            writer.record(&login(&number.to_string()));
        }
        let mut kept: Vec<String> = Vec::new();
        let mut names: Vec<PathBuf> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        assert_eq!(names.len(), 3, "{names:?}");
        for name in names {
            assert!(fs::metadata(&name).unwrap().len() <= 1_200, "two writers, twice the bound");
            kept.extend(lines(&name).iter().map(|line| line["application"].to_string()));
        }
        assert!(kept.contains(&"\"39\"".to_owned()), "{kept:?}");
        // A restart goes on where the file ends.
        let again = files(folder.path(), 600, 3);
        again.record(&login("again"));
        assert!(lines(&again.path).iter().any(|line| line["application"] == "again"));
    }
}
