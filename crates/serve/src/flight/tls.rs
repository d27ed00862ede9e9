//! The certificate of the Flight SQL port.

use std::{fmt, sync::Arc};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::Error;

/// What clients call the protocol below gRPC in the handshake.
const ALPN: &[u8] = b"h2";

/// A certificate and its private key. Clients are offered TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Tls {
    pub(super) acceptor: TlsAcceptor,
}

impl Tls {
    /// Takes a chain of certificates, the server's own first, and its private key, both as PEM.
    ///
    /// # Errors
    /// One of the two is no PEM, or they do not belong together.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let unusable = |problem| Error::FlightTls { problem };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| unusable("the certificate is no PEM file"))?;
        if chain.is_empty() {
            return Err(unusable("the certificate file holds no certificate"));
        }
        // What the library says about a key may quote it.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| unusable("the key file holds no private key in PEM"))?;
        let unfit = |_| unusable("the certificate and the private key cannot be used together");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unfit)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::Tls;

    #[test]
    fn a_chain_and_its_key_are_taken_and_anything_else_is_refused_without_a_word_of_the_key() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        let key = key.serialize_pem();
        Tls::new(chain.as_bytes(), key.as_bytes()).unwrap();
        for (chain, key, wanted) in [
            ("", key.clone(), "holds no certificate"),
            ("-----BEGIN CERTIFICATE-----\nx", key.clone(), "is no PEM file"),
            (chain.as_str(), String::new(), "no private key"),
            (chain.as_str(), key.replace("-----END", "----END"), "no private key"),
            (chain.as_str(), other.serialize_pem(), "cannot be used together"),
        ] {
            let error = Tls::new(chain.as_bytes(), key.as_bytes()).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(wanted), "{text}");
            assert!(!text.contains(key.lines().nth(1).unwrap_or("-----BEGIN")), "{text}");
            assert_eq!(error.kind(), model::ErrorKind::Config);
        }
    }
}
