//! The certificates of ports: read from their files, and the SQL port's again whenever they change.

use std::{
    fs::{self, File, Metadata},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use model::Clock;
use serve::postgres::Tls;
use zeroize::Zeroizing;

use super::{Workbench, failures::OurError as _};
use crate::{config::TlsConfig, failure::Failure};

/// How often the files are looked at: a renewed certificate comes days before the old one ends.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The SQL port's settings of TLS.
const SECTION: &str = "postgres.tls";

/// A chain of certificates has some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the port shows, and where it came from.
pub(crate) struct Certificate {
    pub(crate) tls: Arc<Tls>,
    files: TlsConfig,
    read: Files,
}

/// The content of both files.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    pub(super) chain: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl Workbench {
    /// Returns the certificate, if there is to be TLS.
    pub(crate) fn certificate(&self) -> Result<Option<Certificate>, Failure> {
        let Some(files) = &self.config.postgres.tls else { return Ok(None) };
        let read = Files::read(SECTION, paths(files))?;
        let tls = Tls::new(&read.chain, &read.key).map_err(|error| named(error, paths(files)))?;
        Ok(Some(Certificate { tls: Arc::new(tls), files: files.clone(), read }))
    }
}

impl Certificate {
    /// Takes over what is written into the files, for ever. A pair that does not work is told, and
    /// the one before stays: whoever renews it writes two files, one after the other.
    pub(crate) async fn follow(mut self, clock: Arc<dyn Clock>) {
        let mut told = String::new();
        loop {
            clock.sleep(LOOK_EVERY).await;
            match self.look() {
                Ok(is_new) => {
                    told.clear();
                    if is_new {
                        tracing::info!("the SQL port shows a new certificate");
                    }
                }
                Err(failure) => {
                    let problem = format!("{:#}", failure.error);
                    if problem != told {
                        tracing::warn!(problem, "the SQL port keeps the certificate it has");
                        told = problem;
                    }
                }
            }
        }
    }

    /// Returns whether there was something new.
    fn look(&mut self) -> Result<bool, Failure> {
        let read = Files::read(SECTION, paths(&self.files))?;
        if read == self.read {
            return Ok(false);
        }
        self.tls.renew(&read.chain, &read.key).map_err(|error| named(error, paths(&self.files)))?;
        self.read = read;
        Ok(true)
    }
}

impl Files {
    /// Reads the files that the settings of `section` name.
    pub(super) fn read(section: &str, [chain, key]: [&Path; 2]) -> Result<Self, Failure> {
        let chain = read(&format!("{section}.cert_file"), chain, |_| true)?.to_vec();
        let key = read(&format!("{section}.key_file"), key, is_private)?;
        Ok(Self { chain, key })
    }
}

/// Whether nobody but the owner can read a file; a group may, to whom root has given it.
fn is_private(file: &Metadata) -> bool {
    let others = if file.uid() == 0 { 0o027 } else { 0o077 };
    file.mode() & others == 0
}

fn read(
    setting: &str,
    path: &Path,
    is_allowed: fn(&Metadata) -> bool,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(model::ErrorKind::Config, error)
            .context(format!("reading `{}`, the setting `{setting}`", path.display()))
    };
    // Asked before it is opened, for opening a pipe would wait, and again of what was opened.
    let is_file = fs::metadata(path).map_err(failed)?.is_file();
    if !is_file {
        return Err(Failure::config(format!("`{}` (`{setting}`) is no file", path.display())));
    }
    let file = File::open(path).map_err(failed)?;
    if !is_allowed(&file.metadata().map_err(failed)?) {
        return Err(Failure::config(format!(
            "`{}` (`{setting}`) can be read by others; `chmod 600` closes it",
            path.display()
        )));
    }
    let mut content = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX).read_to_end(&mut content).map_err(failed)?;
    Ok(content)
}

fn paths(files: &TlsConfig) -> [&Path; 2] {
    [files.cert_file.as_path(), files.key_file.as_path()]
}

/// Says which files a port cannot use.
pub(super) fn named(error: serve::Error, [chain, key]: [&Path; 2]) -> Failure {
    let (chain, key) = (chain.display(), key.display());
    error.into_failure().context(format!("using `{chain}` and `{key}` for TLS"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use model::ErrorKind;

    use super::{is_private, read};

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        fs::write(&path, "cnry-0123").unwrap();
        let with_mode = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read("postgres.tls.key_file", &path, is_private)
        };
        assert_eq!(with_mode(0o600).unwrap().as_slice(), b"cnry-0123");
        for mode in [0o604, 0o644, 0o660] {
            let failure = with_mode(mode).unwrap_err();
            let text = format!("{:#}", failure.error);
            assert_eq!(failure.kind, ErrorKind::Config);
            assert!(text.contains("chmod 600") && text.contains("key.pem"), "{text}");
            assert!(!text.contains("cnry"), "{text}");
        }
        // Whoever may read a certificate is nobody's secret.
        assert!(read("postgres.tls.cert_file", &path, |_| true).is_ok());
        let failure = read("postgres.tls.key_file", folder.path(), is_private).unwrap_err();
        assert!(format!("{:#}", failure.error).contains("is no file"));
        let gone = read("postgres.tls.key_file", &folder.path().join("x"), is_private).unwrap_err();
        assert!(format!("{:#}", gone.error).contains("postgres.tls.key_file"));
    }
}
