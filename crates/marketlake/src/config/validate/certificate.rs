//! The certificate of a port, and where a port may listen without one, as written to as trusted.

use std::{net::SocketAddr, path::PathBuf};

use super::address;
use crate::config::{CertificateConfig, Problems};

/// Reads where the certificate is that the settings of `section` name; `Some(None)` is no TLS.
pub(super) fn certificate(
    section: &str,
    [cert_file, key_file]: [&str; 2],
    problems: &mut Problems,
) -> Option<Option<CertificateConfig>> {
    let [cert_file, key_file] = [cert_file.trim(), key_file.trim()];
    let missing = match (cert_file.is_empty(), key_file.is_empty()) {
        (true, true) => return Some(None),
        (true, false) => "cert_file",
        (false, true) => "key_file",
        (false, false) => {
            let (cert_file, key_file) = (PathBuf::from(cert_file), PathBuf::from(key_file));
            return Some(Some(CertificateConfig { cert_file, key_file }));
        }
    };
    problems.add(&format!("{section}.{missing}"), NEEDS_BOTH);
    None
}

pub(super) const NEEDS_BOTH: &str =
    "TLS needs both a certificate (`cert_file`) and its private key (`key_file`)";

/// Reads where a port listens: for other machines only with a certificate in `section`.
pub(super) fn bind(text: &str, section: &str, has_tls: bool) -> Result<SocketAddr, String> {
    let address = address(text)?;
    if !address.ip().is_loopback() && !has_tls {
        return Err(format!(
            "`{text}` can be reached from other machines, to which rows and names would travel in \
             the clear; set `{section}.cert_file` and `{section}.key_file`, or bind 127.0.0.1 and \
             let them come by a tunnel"
        ));
    }
    Ok(address)
}
