//! What is wrong with a store, recognised from its answer, and what an operator can do about it.

use std::{error::Error, fmt};

use model::ErrorKind;

use crate::{Unresolved, redact::Secrets};

#[cfg(test)]
mod tests;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// There is no such bucket or container.
    NoSuchBucket,
    /// The bucket lies in another region than the one we asked.
    WrongRegion,
    /// The store does not know the access key, or the signature is not made with its secret.
    WrongKey,
    /// Credentials are missing or have run out.
    NoCredentials,
    /// The credentials are right and may not do this.
    Forbidden,
    /// Our clock and the store's are too far apart for a signature.
    ClockSkew,
    /// Nobody we trust has signed the store's certificate.
    UnknownAuthority,
    /// The store's certificate is for another host.
    WrongHost,
    /// The store's certificate has run out, or is not valid yet.
    CertificateExpired,
    /// The store's certificate is wrong in another way.
    BadCertificate,
    /// We speak TLS and the store does not.
    NotTls,
    /// The store speaks TLS and we do not.
    TlsWanted,
    /// Nobody answers at the store's address.
    Unreachable,
    /// The store asks for fewer requests.
    Throttled,
    /// No answer in time.
    TimedOut,
    /// The store failed inside.
    ServerError,
    /// The disk is full.
    DiskFull,
    /// The store cannot do this at all.
    NotSupported,
    /// A symbolic link lies in the way.
    SymbolicLink,
}

/// Words of an answer, each with what they mean; the first that is found decides.
///
/// A service's own code comes before the bare status: it says more.
const SIGNS: [(&str, Trouble); 51] = [
    ("RequestTimeTooSkewed", Trouble::ClockSkew),
    ("Request date header too old", Trouble::ClockSkew),
    ("NoSuchBucket", Trouble::NoSuchBucket),
    ("ContainerNotFound", Trouble::NoSuchBucket),
    ("The specified bucket does not exist", Trouble::NoSuchBucket),
    ("InvalidAccessKeyId", Trouble::WrongKey),
    ("SignatureDoesNotMatch", Trouble::WrongKey),
    ("AuthenticationFailed", Trouble::WrongKey),
    ("failed to authenticate the request", Trouble::WrongKey),
    ("InvalidAuthenticationInfo", Trouble::WrongKey),
    ("invalid_client", Trouble::WrongKey),
    ("invalid_grant", Trouble::WrongKey),
    ("ExpiredToken", Trouble::NoCredentials),
    ("InvalidToken", Trouble::NoCredentials),
    ("AuthorizationHeaderMalformed", Trouble::WrongRegion),
    ("PermanentRedirect", Trouble::WrongRegion),
    ("incorrectly configured region", Trouble::WrongRegion),
    ("AccessDenied", Trouble::Forbidden),
    ("AuthorizationFailure", Trouble::Forbidden),
    ("AuthorizationPermissionMismatch", Trouble::Forbidden),
    ("SlowDown", Trouble::Throttled),
    ("ServerBusy", Trouble::Throttled),
    ("UnknownIssuer", Trouble::UnknownAuthority),
    ("CaUsedAsEndEntity", Trouble::UnknownAuthority),
    ("NotValidForName", Trouble::WrongHost),
    ("certificate not valid for name", Trouble::WrongHost),
    ("certificate expired", Trouble::CertificateExpired),
    ("certificate not valid yet", Trouble::CertificateExpired),
    ("invalid peer certificate: Expired", Trouble::CertificateExpired),
    ("invalid peer certificate: NotValidYet", Trouble::CertificateExpired),
    ("invalid peer certificate", Trouble::BadCertificate),
    ("InvalidContentType", Trouble::NotTls),
    ("HTTP request to an HTTPS server", Trouble::TlsWanted),
    ("scheme is not https", Trouble::TlsWanted),
    ("NotImplemented", Trouble::NotSupported),
    ("status code: 501", Trouble::NotSupported),
    // fake-gcs-server's answer to a write over XML.
    ("invalid uploadType", Trouble::NotSupported),
    ("status code: 429", Trouble::Throttled),
    ("status code: 503", Trouble::Throttled),
    ("status code: 5", Trouble::ServerError),
    ("Connection refused", Trouble::Unreachable),
    ("failed to lookup address", Trouble::Unreachable),
    ("dns error", Trouble::Unreachable),
    ("No route to host", Trouble::Unreachable),
    ("Network is unreachable", Trouble::Unreachable),
    ("operation timed out", Trouble::TimedOut),
    ("deadline has elapsed", Trouble::TimedOut),
    ("No space left on device", Trouble::DiskFull),
    ("status code: 403", Trouble::Forbidden),
    ("status code: 401", Trouble::NoCredentials),
    ("client error (Connect)", Trouble::Unreachable),
];

impl Trouble {
    /// Recognises what is wrong; `None` when the answer is about one object, or says nothing known.
    #[must_use]
    pub fn of(error: &object_store::Error) -> Option<Self> {
        if let Some(refusal) = cause::<Refusal>(error) {
            return refusal.trouble;
        }
        // Our own secrets could not be read: the store has said nothing.
        if let Some(unresolved) = cause::<Unresolved>(error) {
            return (unresolved.kind == ErrorKind::Config).then_some(Self::NoCredentials);
        }
        Self::read(error, &chain(error))
    }

    fn read(error: &object_store::Error, text: &str) -> Option<Self> {
        let sign = SIGNS.iter().find(|(sign, _)| text.contains(sign));
        match (error, sign) {
            (_, Some((_, trouble))) => Some(*trouble),
            (object_store::Error::PermissionDenied { .. }, None) => Some(Self::Forbidden),
            (object_store::Error::Unauthenticated { .. }, None) => Some(Self::NoCredentials),
            (
                object_store::Error::NotSupported { .. }
                | object_store::Error::NotImplemented { .. },
                None,
            ) => Some(Self::NotSupported),
            (_, None) => None,
        }
    }

    /// Returns what an operator can do about it, as a phrase.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoSuchBucket => "there is no such bucket; create it, or correct the address",
            Self::WrongRegion => {
                "the bucket lies in another region; set the option `region` to the bucket's"
            }
            Self::WrongKey => {
                "the store does not accept the key; correct the credentials in the options"
            }
            Self::NoCredentials => {
                "credentials are missing or have run out; set them in the options, or give this \
                 machine an identity"
            }
            Self::Forbidden => {
                "the credentials may not do this; grant reading, writing, listing and deleting \
                 below the prefix"
            }
            Self::ClockSkew => {
                "this machine's clock and the store's differ too much; set the clock (NTP)"
            }
            Self::UnknownAuthority => {
                "nobody trusted has signed the store's certificate; name its root with `ca_file`"
            }
            Self::WrongHost => {
                "the store's certificate is for another host; use the name that stands in it"
            }
            Self::CertificateExpired => {
                "the store's certificate is not valid now; renew it, or set this machine's clock"
            }
            Self::BadCertificate => "the store's certificate cannot be used; have it issued again",
            Self::NotTls => {
                "the store does not speak TLS at this address; correct the address or its port"
            }
            Self::TlsWanted => "the store wants TLS; write `https` in its address",
            Self::Unreachable => {
                "nobody answers; check the address, the network, and that the store runs"
            }
            Self::Throttled => "the store asks for fewer requests; it is tried again later",
            Self::TimedOut => {
                "no answer in time; it is tried again later, and `timeout` may be raised"
            }
            Self::ServerError => "the store failed inside; it is tried again later",
            Self::DiskFull => "the disk is full; free some space",
            Self::NotSupported => "the store cannot do this; use another one",
            Self::SymbolicLink => {
                "a symbolic link could lead out of the folder; put the files themselves there"
            }
        }
    }

    /// Returns what it asks of the caller.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Unreachable
            | Self::Throttled
            | Self::TimedOut
            | Self::ServerError
            | Self::DiskFull => ErrorKind::Transient,
            Self::NoSuchBucket
            | Self::WrongRegion
            | Self::WrongKey
            | Self::NoCredentials
            | Self::Forbidden
            | Self::ClockSkew
            | Self::UnknownAuthority
            | Self::WrongHost
            | Self::CertificateExpired
            | Self::BadCertificate
            | Self::NotTls
            | Self::TlsWanted
            | Self::NotSupported
            | Self::SymbolicLink => ErrorKind::Config,
        }
    }
}

/// Answers are cut to this many bytes: a proxy's error page says nothing more after that.
const TEXT_BYTES_MAX: usize = 2_000;

/// A store's answer with every secret taken out, and what is wrong.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) trouble: Option<Trouble>,
    pub(crate) text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trouble {
            Some(trouble) => write!(f, "{}: {}", trouble.remedy(), self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl Error for Refusal {}

/// Returns the cause of this type, if an error has one.
fn cause<T: Error + 'static>(error: &object_store::Error) -> Option<&T> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(link) = cause {
        if let Some(found) = link.downcast_ref::<T>() {
            return Some(found);
        }
        cause = link.source();
    }
    None
}

/// Puts an error and its causes into one line; a cause that its error already quotes is left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(link) = cause {
        let shown = link.to_string();
        if !text.contains(&shown) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&shown);
        }
        cause = link.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Rewrites an error so that it can be shown: no secret, no endless body, a way out.
///
/// A missing bucket becomes a failure: to a caller `NotFound` would say that the object is not
/// there, and all of them may be.
pub(crate) fn mend(error: object_store::Error, secrets: &Secrets) -> object_store::Error {
    use object_store::Error as E;
    let trouble = Trouble::of(&error);
    let mut text = match cause::<Refusal>(&error) {
        Some(refusal) => refusal.text.clone(),
        None => secrets.redact(&chain(&error)),
    };
    if TEXT_BYTES_MAX < text.len() {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    let source = Box::new(Refusal { trouble, text });
    match error {
        E::NotFound { .. } if trouble == Some(Trouble::NoSuchBucket) => {
            E::Generic { store: "bucket", source }
        }
        E::NotFound { path, .. } => E::NotFound { path, source },
        E::AlreadyExists { path, .. } => E::AlreadyExists { path, source },
        E::Precondition { path, .. } => E::Precondition { path, source },
        E::NotModified { path, .. } => E::NotModified { path, source },
        E::PermissionDenied { path, .. } => E::PermissionDenied { path, source },
        E::Unauthenticated { path, .. } => E::Unauthenticated { path, source },
        E::NotSupported { .. } => E::NotSupported { source },
        E::Generic { store, .. } => E::Generic { store, source },
        // The others are about our own call and quote no answer.
        other => other,
    }
}
