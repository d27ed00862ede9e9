//! TLS of the ports: a certificate and its key, renewed without a restart.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
};

use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    server::TlsStream,
};
use x509_certificate::{SignatureAlgorithm, X509Certificate};

use crate::Error;

/// What is spoken inside. Clients name it in the handshake (ALPN); one that names something else, such
/// as a browser that somebody led to the SQL port, gets no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The PostgreSQL port's.
    Postgres,
    /// The HTTP port's.
    Http,
    /// That below Flight SQL.
    Grpc,
}

impl Protocol {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Postgres => b"postgresql",
            Self::Http => b"http/1.1",
            Self::Grpc => b"h2",
        }
    }
}

/// The certificate that clients of one port are shown, and what is derived from it.
pub struct Tls {
    protocol: Protocol,
    current: RwLock<Arc<Current>>,
}

struct Current {
    config: Arc<ServerConfig>,
    end_point: Option<Vec<u8>>,
}

/// A client's socket with TLS around it.
pub(crate) struct Encrypted {
    pub(crate) stream: TlsStream<TcpStream>,
    /// `tls-server-end-point` (RFC 5929): what a client that has seen this certificate, and not
    /// somebody else's, can name. `None` for signatures for which it is not defined.
    pub(crate) end_point: Option<Vec<u8>>,
    protocol: Protocol,
}

impl Tls {
    /// Takes a certificate chain, the server's own certificate first, and its private key, both as
    /// PEM. Clients are offered TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// One of the two is no PEM, or they do not belong together.
    pub fn new(protocol: Protocol, chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let current = Current::new(protocol, chain, key)?;
        Ok(Self { protocol, current: RwLock::new(Arc::new(current)) })
    }

    /// Shows another certificate to clients that connect from now on.
    ///
    /// # Errors
    /// As for [`Tls::new`]; the present one stays.
    pub fn renew(&self, chain: &[u8], key: &[u8]) -> Result<(), Error> {
        let renewed = Arc::new(Current::new(self.protocol, chain, key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// Shakes hands with a client.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Encrypted> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let stream = TlsAcceptor::from(Arc::clone(&current.config)).accept(stream).await?;
        Ok(Encrypted { stream, end_point: current.end_point.clone(), protocol: self.protocol })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

impl Encrypted {
    /// Whether the client said in the handshake which protocol it means.
    pub(crate) fn names_protocol(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(self.protocol.name())
    }
}

impl Current {
    fn new(protocol: Protocol, chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| unusable("is no PEM file"))?;
        let leaf = chain.first().ok_or_else(|| unusable("file holds no certificate"))?;
        let end_point = end_point(leaf);
        // What the library says about a key may quote it.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| unusable("has no private key in PEM"))?;
        let unfit = |source: rustls::Error| Error::Certificate {
            problem: "and its private key cannot be used together",
            source: Some(Box::new(source)),
        };
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(unfit)?
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .map_err(unfit)?;
        config.alpn_protocols = vec![protocol.name().to_vec()];
        Ok(Self { config: Arc::new(config), end_point })
    }
}

fn unusable(problem: &'static str) -> Error {
    Error::Certificate { problem, source: None }
}

/// The hash of a certificate that channel binding is about: by the hash of its own signature, and
/// never by one that is broken.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = X509Certificate::from_der(certificate).ok()?;
    Some(match parsed.signature_algorithm()? {
        SignatureAlgorithm::RsaSha1
        | SignatureAlgorithm::RsaSha256
        | SignatureAlgorithm::EcdsaSha256 => Sha256::digest(certificate).to_vec(),
        SignatureAlgorithm::RsaSha384 | SignatureAlgorithm::EcdsaSha384 => {
            Sha384::digest(certificate).to_vec()
        }
        SignatureAlgorithm::RsaSha512 => Sha512::digest(certificate).to_vec(),
        SignatureAlgorithm::Ed25519 | SignatureAlgorithm::NoSignature(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn certificate(key: &KeyPair) -> (String, Vec<u8>) {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(key).unwrap();
        (certificate.pem(), certificate.der().to_vec())
    }

    #[test]
    fn a_chain_and_its_key_are_taken_and_anything_else_is_refused_without_a_word_of_the_key() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (chain, _) = certificate(&key);
        let pem = key.serialize_pem();
        let tls = Tls::new(Protocol::Http, chain.as_bytes(), pem.as_bytes()).unwrap();
        let cut = key.serialize_pem().replace("-----END", "----END");
        for (chain, key, wanted) in [
            ("", key.serialize_pem(), "holds no certificate"),
            ("-----BEGIN CERTIFICATE-----\nx", key.serialize_pem(), "is no PEM file"),
            (chain.as_str(), String::new(), "no private key"),
            (chain.as_str(), cut, "no private key"),
            (chain.as_str(), other.serialize_pem(), "cannot be used together"),
        ] {
            let error = tls.renew(chain.as_bytes(), key.as_bytes()).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(wanted), "{text}");
            let secret = key.lines().nth(1).unwrap_or("-----BEGIN");
            assert!(!text.contains(secret), "{text}");
            assert_eq!(error.kind(), model::ErrorKind::Config);
        }
        assert_eq!(format!("{tls:?}"), "Tls(…)");
    }

    #[test]
    fn channel_binding_hashes_a_certificate_as_its_signature_does() {
        let (_, p256) = certificate(&KeyPair::generate().unwrap());
        assert_eq!(end_point(&p256).unwrap(), Sha256::digest(&p256).to_vec());
        let (_, p384) = certificate(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
        assert_eq!(end_point(&p384).unwrap(), Sha384::digest(&p384).to_vec());
        // Not defined by the standard: such a server offers no channel binding.
        let (_, ed25519) = certificate(&KeyPair::generate_for(&PKCS_ED25519).unwrap());
        assert_eq!(end_point(&ed25519), None);
        assert_eq!(end_point(b"nonsense"), None);
    }
}
