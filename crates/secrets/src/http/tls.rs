//! Says in words why a server is not trusted.

use std::{error::Error, io};

use rustls::{CertificateError, Error as TlsError};

/// Returns what is wrong with the server and how to mend it, or `None` when the failure has
/// nothing to do with TLS.
pub(super) fn problem(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<TlsError>() {
            return Some(explain(error));
        }
        // An I/O error shows its inner error only to those who ask, not as its source.
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = problem(inner)
        {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn explain(error: &TlsError) -> &'static str {
    match error {
        TlsError::InvalidCertificate(error) => match error {
            // An authority with the name of a trusted one, and another key, is a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate comes from an authority that is not trusted here; set \
                 `ca_file` if the authority is your own"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host; correct the address"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired, or this machine's clock is wrong; renew it"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; see whether this machine's clock is right"
            }
            CertificateError::Revoked => "the server's certificate was revoked",
            _ => "the server's certificate is not acceptable",
        },
        TlsError::InvalidMessage(_) => {
            "the server does not speak TLS on this port; correct the port, or let it speak https"
        }
        TlsError::PeerIncompatible(_) => {
            "the server speaks only versions or ciphers that are no longer secure"
        }
        TlsError::AlertReceived(_) => "the server broke off the TLS handshake",
        _ => "the TLS handshake failed",
    }
}
