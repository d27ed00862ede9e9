//! What can go wrong between the lake's tables and the people who read them.

use std::{io, net::SocketAddr};

use lake::datafusion::error::DataFusionError;
use model::ErrorKind;
use thiserror::Error;

/// A failure of a server. What a client did wrong is an answer to that client, never one of these.
#[derive(Debug, Error)]
pub enum Error {
    /// The address is reachable from other machines, and what travels could be read on the way.
    #[error(
        "refusing to serve {protocol} on `{bind}`: other machines could reach it without TLS and \
         passwords; give it a certificate in `[{section}]`, or use a loopback address such as \
         `127.0.0.1:{}`", .bind.port()
    )]
    Exposed {
        /// `HTTP`, `PostgreSQL` or `Flight SQL`.
        protocol: &'static str,
        /// The refused address.
        bind: SocketAddr,
        /// Where the settings name a certificate.
        section: &'static str,
    },
    /// The port is taken, or the address is not ours.
    #[error("listening for {protocol} on `{bind}`")]
    Listen {
        /// `HTTP`, `PostgreSQL` or `Flight SQL`.
        protocol: &'static str,
        /// The wanted address.
        bind: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gave no threads for clients' statements.
    #[error("starting threads for {protocol}")]
    Threads {
        /// `PostgreSQL`.
        protocol: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The lake could not give a snapshot or the changes of a table.
    #[error("reading {what}")]
    Lake {
        /// What was read, such as `the changes of silver.bar`.
        what: String,
        /// What the lake said.
        #[source]
        source: Box<lake::Error>,
    },
    /// A query of ours failed.
    #[error("querying `{table}`")]
    Query {
        /// Layer and name of the table.
        table: String,
        /// What the engine said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A table does not have the shape the server relies on.
    #[error("column `{column}` of `{table}` is missing or of another type")]
    Shape {
        /// Layer and name of the table.
        table: String,
        /// The column.
        column: &'static str,
    },
    /// The store would not sign addresses of shared files.
    #[error(
        "signing addresses of the files of `{table}`; sharing needs credentials that can sign: an \
         access key, or a role that may issue keys"
    )]
    Sign {
        /// Layer and name of the table.
        table: String,
        /// What the store's client said.
        #[source]
        source: Box<object_store::Error>,
    },
    /// A port's certificate, or its private key, cannot be used.
    #[error("the certificate {problem}")]
    Certificate {
        /// What is wrong; never a part of the key.
        problem: &'static str,
        /// What the TLS library said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A stored password verifier cannot be used.
    #[error("the password verifier {problem}")]
    Verifier {
        /// What is wrong with its text; never the text itself.
        problem: &'static str,
    },
}

impl Error {
    /// Returns what this failure asks of the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Exposed { .. }
            | Self::Listen { .. }
            | Self::Certificate { .. }
            | Self::Verifier { .. } => ErrorKind::Config,
            Self::Lake { source, .. } => source.kind(),
            Self::Query { source, .. } => query_kind(source),
            Self::Shape { .. } => ErrorKind::Data,
            Self::Threads { .. } | Self::Sign { .. } => ErrorKind::Transient,
        }
    }

    pub(crate) fn lake(what: impl Into<String>) -> impl FnOnce(lake::Error) -> Self {
        move |source| Self::Lake { what: what.into(), source: Box::new(source) }
    }

    pub(crate) fn query(table: impl Into<String>) -> impl FnOnce(DataFusionError) -> Self {
        move |source| Self::Query { table: table.into(), source: Box::new(source) }
    }
}

fn query_kind(error: &DataFusionError) -> ErrorKind {
    match error.find_root() {
        // The store or the memory pool said no; the same query may succeed later.
        DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ResourcesExhausted(_) => ErrorKind::Transient,
        DataFusionError::ParquetError(_) | DataFusionError::ArrowError(..) => ErrorKind::Data,
        _ => ErrorKind::Internal,
    }
}
