//! A store whose certificate is wrong is not spoken to, and the reason is said.

use std::{path::PathBuf, sync::Arc};

use object_store::{ObjectStoreExt, path::Path};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use stores::{Trouble, probe_create_only};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::{
    services::{AZURITE_KEY, minio_options, open, s3_endpoint},
    trouble::check,
};

/// A certificate that a server shows.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Good,
    UnknownAuthority,
    OtherHost,
    Expired,
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a root"))
    }

    fn acceptor(&self, shown: Shown) -> TlsAcceptor {
        let name = match shown {
            Shown::OtherHost => "elsewhere.example",
            _ => "localhost",
        };
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if matches!(shown, Shown::Expired) {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let signed = match shown {
            Shown::UnknownAuthority => params.signed_by(&key, &Self::new("stranger").0),
            _ => params.signed_by(&key, &self.0),
        };
        let chain = vec![signed.expect("a certificate").der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate that fits its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What is behind the TLS of a server.
#[derive(Clone, Debug)]
enum Behind {
    /// One answer to every request.
    Answer(&'static str),
    /// A service that speaks plain http.
    Service(String),
}

/// Serves TLS at an address of its own, which it returns, until the test ends.
async fn serve(acceptor: TlsAcceptor, behind: Behind) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let Ok(mut socket) = acceptor.accept(socket).await else { return };
                match behind {
                    Behind::Answer(answer) => {
                        let mut head = [0; 4096];
                        if socket.read(&mut head).await.is_ok() {
                            drop(socket.write_all(answer.as_bytes()).await);
                            drop(socket.shutdown().await);
                        }
                    }
                    Behind::Service(address) => {
                        let Ok(mut service) = TcpStream::connect(address).await else { return };
                        drop(copy_bidirectional(&mut socket, &mut service).await);
                    }
                }
            });
        }
    });
    format!("https://localhost:{port}")
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"1\"\r\nConnection: close\r\n\
                     Last-Modified: Mon, 23 Nov 2026 00:00:00 GMT\r\n\r\nhello";

/// An authority, and the file that names it to a store.
fn authority(place: &tempfile::TempDir) -> (Authority, PathBuf) {
    let authority = Authority::new("trusted");
    let file = place.path().join("ca.pem");
    std::fs::write(&file, authority.0.as_ref().pem()).expect("writing the root");
    (authority, file)
}

#[tokio::test]
async fn a_wrong_certificate_is_named_and_nothing_is_sent() {
    let place = tempfile::tempdir().expect("a folder");
    let (authority, file) = authority(&place);
    let file = file.to_str().expect("a plain name");
    for (shown, trouble) in [
        (Shown::UnknownAuthority, Trouble::UnknownAuthority),
        (Shown::OtherHost, Trouble::WrongHost),
        (Shown::Expired, Trouble::CertificateExpired),
    ] {
        let endpoint = serve(authority.acceptor(shown), Behind::Answer(HELLO)).await;
        let mut options = minio_options(&endpoint);
        options.push(("ca_file", file));
        check("s3://b", &options, trouble).await;
    }
    let endpoint = serve(authority.acceptor(Shown::Expired), Behind::Answer(HELLO)).await;
    let azure = [
        ("endpoint", endpoint.as_str()),
        ("account_name", "devstoreaccount1"),
        ("account_key", AZURITE_KEY),
        ("ca_file", file),
    ];
    check("az://c", &azure, Trouble::CertificateExpired).await;
    let gcs = [("base_url", endpoint.as_str()), ("skip_signature", "true"), ("ca_file", file)];
    check("gs://b", &gcs, Trouble::CertificateExpired).await;
}

#[tokio::test]
async fn a_root_is_trusted_where_it_is_named_and_nowhere_else() {
    let place = tempfile::tempdir().expect("a folder");
    let (authority, file) = authority(&place);
    let endpoint = serve(authority.acceptor(Shown::Good), Behind::Answer(HELLO)).await;
    check("s3://b", &minio_options(&endpoint), Trouble::UnknownAuthority).await;
    let mut options = minio_options(&endpoint);
    options.push(("ca_file", file.to_str().expect("a plain name")));
    let found = open("s3://b", &options).await.store.get(&Path::from("a")).await.expect("reading");
    assert_eq!(found.bytes().await.expect("a body"), "hello");
}

#[tokio::test]
async fn a_server_without_tls_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut hello = [0; 1024];
            if socket.read(&mut hello).await.is_ok() {
                drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
            }
        }
    });
    let endpoint = format!("https://localhost:{port}");
    check("s3://b", &minio_options(&endpoint), Trouble::NotTls).await;
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_service_behind_tls_of_its_own_root_is_a_store_as_any() {
    let place = tempfile::tempdir().expect("a folder");
    let (authority, file) = authority(&place);
    let service = s3_endpoint().trim_start_matches("http://").to_owned();
    let endpoint = serve(authority.acceptor(Shown::Good), Behind::Service(service)).await;
    let mut options = minio_options(&endpoint);
    options.push(("ca_file", file.to_str().expect("a plain name")));
    let store = open("s3://marketlake/tls", &options).await.store;
    probe_create_only(&store).await.expect("a store through TLS");
}
