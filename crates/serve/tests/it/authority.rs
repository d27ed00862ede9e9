//! An authority that signs the certificates of tests, and clients that trust it.
#![expect(clippy::unwrap_used, reason = "the helpers of these tests fail the test as a test does")]

use std::{io::Write as _, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serve::tls::{Protocol, Tls};
use tempfile::NamedTempFile;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, pem::PemObject as _},
    },
};

/// Who signs the certificate of a server, as clients know them.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(issuer.pem().as_bytes()).unwrap();
        Self { issuer, file }
    }

    /// A chain and its key.
    pub(crate) fn sign(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        (chain, key.serialize_pem())
    }

    /// What a port of that name shows.
    pub(crate) fn tls(&self, protocol: Protocol, name: &str) -> Arc<Tls> {
        let (chain, key) = self.sign(name);
        Arc::new(Tls::new(protocol, chain.as_bytes(), key.as_bytes()).unwrap())
    }

    /// What psql has to be told of it.
    pub(crate) fn roots(&self) -> String {
        format!("sslrootcert={}", self.file.path().display())
    }

    /// A client that trusts it, and names a protocol.
    pub(crate) fn connector(&self, protocol: Option<&str>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.issuer.pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols.extend(protocol.map(|name| name.as_bytes().to_vec()));
        TlsConnector::from(Arc::new(config))
    }
}
