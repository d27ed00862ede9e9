//! Certificates for the double: good ones, and each way in which one can be bad.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// What is wrong with a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    UnknownAuthority,
    OtherHost,
    Expired,
    Plaintext,
}

/// Every flaw, with the words that an operator must see.
pub(crate) const FLAWS: [(Flaw, &str); 4] = [
    (Flaw::UnknownAuthority, "set `ca_file`"),
    (Flaw::OtherHost, "for another host"),
    (Flaw::Expired, "has expired"),
    (Flaw::Plaintext, "does not speak TLS"),
];

/// Who signs the certificates of one double.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    /// Returns what accepts TLS connections; nothing for a server that speaks none.
    pub(crate) fn acceptor(&self, flaw: Option<Flaw>) -> Option<TlsAcceptor> {
        let names = match flaw {
            Some(Flaw::Plaintext) => return None,
            Some(Flaw::OtherHost) => vec!["elsewhere.example".to_owned()],
            _ => vec!["localhost".to_owned()],
        };
        let mut params = CertificateParams::new(names).unwrap();
        if matches!(flaw, Some(Flaw::Expired)) {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = match flaw {
            Some(Flaw::UnknownAuthority) => params.signed_by(&key, &Self::new("stranger").0),
            _ => params.signed_by(&key, &self.0),
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.unwrap().der().clone()], key)
            .unwrap();
        Some(TlsAcceptor::from(Arc::new(config)))
    }
}
