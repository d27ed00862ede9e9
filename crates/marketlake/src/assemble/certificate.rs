//! The certificates of ports: read from their files, and again whenever these change.

use std::{
    fs::{self, File, Metadata},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use model::Clock;
use serve::tls::{Protocol, Tls};
use zeroize::Zeroizing;

use super::failures::OurError as _;
use crate::{config::CertificateConfig, failure::Failure};

/// How often the files are looked at: a renewed certificate comes days before the old one ends.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A chain of certificates has some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a port shows, and where it came from.
pub(crate) struct Certificate {
    tls: Arc<Tls>,
    /// Where the settings name the files.
    section: &'static str,
    files: CertificateConfig,
    read: Files,
}

/// The content of both files.
#[derive(PartialEq, Eq)]
struct Files {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Certificate {
    /// Reads the certificate that the settings of `section` name, if they do.
    pub(crate) fn open(
        section: &'static str,
        protocol: Protocol,
        files: Option<&CertificateConfig>,
    ) -> Result<Option<Self>, Failure> {
        let Some(files) = files else { return Ok(None) };
        let read = Files::read(section, files)?;
        let tls = Tls::new(protocol, &read.chain, &read.key).map_err(|it| named(it, files))?;
        Ok(Some(Self { tls: Arc::new(tls), section, files: files.clone(), read }))
    }

    /// Returns what clients are shown, if there is to be TLS.
    pub(crate) fn shown(certificate: Option<&Self>) -> Option<Arc<Tls>> {
        certificate.map(|certificate| Arc::clone(&certificate.tls))
    }

    /// Takes over what is written into the files, for ever. A pair that does not work is told, and
    /// the one before stays: whoever renews it writes two files, one after the other.
    pub(crate) async fn follow(mut self, clock: Arc<dyn Clock>) {
        let section = self.section;
        let mut told = String::new();
        loop {
            clock.sleep(LOOK_EVERY).await;
            match self.look() {
                Ok(is_new) => {
                    told.clear();
                    if is_new {
                        tracing::info!(section, "the port shows a new certificate");
                    }
                }
                Err(failure) => {
                    let problem = format!("{:#}", failure.error);
                    if problem != told {
                        tracing::warn!(section, problem, "the port keeps the certificate it has");
                        told = problem;
                    }
                }
            }
        }
    }

    /// Returns whether there was something new.
    fn look(&mut self) -> Result<bool, Failure> {
        let read = Files::read(self.section, &self.files)?;
        if read == self.read {
            return Ok(false);
        }
        self.tls.renew(&read.chain, &read.key).map_err(|error| named(error, &self.files))?;
        self.read = read;
        Ok(true)
    }
}

impl Files {
    /// Reads the files that the settings of `section` name.
    fn read(section: &str, files: &CertificateConfig) -> Result<Self, Failure> {
        let chain = read(&format!("{section}.cert_file"), &files.cert_file, |_| true)?.to_vec();
        let key = read(&format!("{section}.key_file"), &files.key_file, is_private)?;
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

/// Says which files a port cannot use.
fn named(error: serve::Error, files: &CertificateConfig) -> Failure {
    let (chain, key) = (files.cert_file.display(), files.key_file.display());
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
