//! The Flight SQL port from settings: its bounds and its certificate.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
};

use model::ErrorKind;
use serve::flight::{FlightConfig, Tls};
use zeroize::Zeroizing;

use super::{Workbench, failures::OurError as _, servers};
use crate::failure::Failure;

/// A chain of certificates has some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Workbench {
    /// Returns the settings of the port, if there is to be one.
    pub(crate) fn flight(&self) -> Result<Option<FlightConfig>, Failure> {
        let config = &self.config.flight;
        if !config.is_enabled {
            return Ok(None);
        }
        let tls = match &config.tls {
            None => None,
            Some(files) => {
                let chain = read("serve.flight.tls.cert_file", &files.cert_file, |_| true)?;
                let key = read("serve.flight.tls.key_file", &files.key_file, is_private)?;
                Some(Arc::new(Tls::new(&chain, &key).map_err(|error| {
                    error.into_failure().context(format!(
                        "using `{}` and `{}` for TLS",
                        files.cert_file.display(),
                        files.key_file.display()
                    ))
                })?))
            }
        };
        Ok(Some(FlightConfig {
            bind: config.bind,
            tls,
            connections_max: servers::CONNECTIONS_MAX,
            statement_timeout: servers::STATEMENT_TIMEOUT,
            rows_max: servers::ROWS_MAX,
        }))
    }
}

/// Whether nobody but the owner can read a file; a group may, to whom root has given it.
fn is_private(file: &fs::Metadata) -> bool {
    let others = if file.uid() == 0 { 0o027 } else { 0o077 };
    file.mode() & others == 0
}

fn read(
    setting: &str,
    path: &Path,
    is_allowed: fn(&fs::Metadata) -> bool,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(ErrorKind::Config, error)
            .context(format!("reading `{}`, the setting `{setting}`", path.display()))
    };
    // Asked before it is opened, for opening a pipe would wait, and again of what was opened.
    if !fs::metadata(path).map_err(failed)?.is_file() {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        fs::write(&path, "cnry-0123").unwrap();
        let with_mode = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read("serve.flight.tls.key_file", &path, is_private)
        };
        assert_eq!(with_mode(0o600).unwrap().as_slice(), b"cnry-0123");
        for mode in [0o604, 0o644, 0o660] {
            let failure = with_mode(mode).unwrap_err();
            let text = format!("{:#}", failure.error);
            assert_eq!(failure.kind, ErrorKind::Config);
            assert!(text.contains("chmod 600") && text.contains("key.pem"), "{text}");
            assert!(!text.contains("cnry"), "{text}");
        }
        // A certificate is nobody's secret.
        assert!(read("serve.flight.tls.cert_file", &path, |_| true).is_ok());
        for gone in [folder.path().to_owned(), folder.path().join("x")] {
            let failure = read("serve.flight.tls.key_file", &gone, is_private).unwrap_err();
            assert!(format!("{:#}", failure.error).contains("serve.flight.tls.key_file"));
        }
    }
}
