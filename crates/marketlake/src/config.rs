//! Settings: three layers in, one trusted [`Config`] out, or every problem at once.
//!
//! `layers` merges texts and knows where each value came from; `file` is the shape as written;
//! `validate` turns it into the types below. Nothing here touches the disk except [`read_file`].

use std::{
    collections::BTreeMap,
    fmt, fs,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::NaiveDate;
use model::{BarInterval, Dataset, clock::MarketTime};
use secrets::{ScopeConfig, Secret, SecretName, SecretRef};
use serve::http::sharing::{Recipient, Share};
use stores::StoreKind;
use url::Url;

mod file;
mod layers;
mod postgres;
mod show;
pub(crate) mod units;
mod validate;

pub(crate) use layers::{Layers, Origin};
pub(crate) use postgres::{AuditConfig, PostgresConfig, Proof, RoleConfig};
pub(crate) use validate::{store_of, user};

/// The settings as the rest of the program may rely on them.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) source: SourceConfig,
    pub(crate) poll: PollConfig,
    pub(crate) market_time: MarketTimeConfig,
    pub(crate) topic: TopicConfig,
    pub(crate) landing: LandingConfig,
    pub(crate) lake: StoreConfig,
    pub(crate) load: LoadConfig,
    pub(crate) refine: RefineConfig,
    pub(crate) maintenance: MaintenanceConfig,
    pub(crate) http: HttpConfig,
    pub(crate) postgres: PostgresConfig,
    pub(crate) audit: AuditConfig,
    pub(crate) sharing: SharingConfig,
    pub(crate) flight: FlightConfig,
    pub(crate) scopes: BTreeMap<SecretName, ScopeConfig>,
    pub(crate) log: LogConfig,
}

#[derive(Clone, Debug)]
pub(crate) struct SourceConfig {
    pub(crate) base_url: Url,
    pub(crate) version: SourceVersion,
    pub(crate) access_key: SecretRef,
    pub(crate) requests_per_second: NonZeroU32,
    /// `None`: nothing is counted.
    pub(crate) quota_month: Option<NonZeroU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceVersion {
    V1,
    V2,
}

#[derive(Clone, Debug)]
pub(crate) struct PollConfig {
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) symbols: Vec<String>,
    pub(crate) interval: BarInterval,
    pub(crate) after_hours: bool,
    pub(crate) start_date: Option<NaiveDate>,
    pub(crate) look_back: Duration,
    pub(crate) revise_days: u32,
    pub(crate) settle: Duration,
    pub(crate) poll_every: Duration,
    /// `None`: one poller, its memory in the data folder.
    pub(crate) shared: Option<SharedPollConfig>,
}

/// What pollers that divide the symbols must agree on.
#[derive(Clone, Debug)]
pub(crate) struct SharedPollConfig {
    pub(crate) state: StoreConfig,
    pub(crate) shards: NonZeroU32,
    pub(crate) generation: NonZeroU32,
    pub(crate) lease: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MarketTimeConfig {
    /// `None`: real time.
    pub(crate) replay: Option<MarketTime>,
}

impl MarketTimeConfig {
    /// Returns market time; without a replay it is the wall time itself.
    pub(crate) fn market_time(&self) -> MarketTime {
        let real = chrono::DateTime::UNIX_EPOCH;
        self.replay.unwrap_or(MarketTime { epoch: real, start: real, speed: 1 })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TopicConfig {
    pub(crate) prefix: String,
    pub(crate) partitions: NonZeroU32,
    pub(crate) retention: Duration,
    /// `None`: the embedded topic.
    pub(crate) kafka: Option<KafkaConfig>,
}

#[derive(Clone, Debug)]
pub(crate) struct KafkaConfig {
    pub(crate) brokers: String,
    /// 0: the cluster decides.
    pub(crate) replication: u16,
    pub(crate) compression: Compression,
    pub(crate) group: String,
    /// Properties of librdkafka under its own names.
    pub(crate) properties: Options,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Lz4,
    Snappy,
    Zstd,
}

/// Where a store lies and how it is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreConfig {
    /// `None`: a folder of the data folder.
    pub(crate) address: Option<String>,
    pub(crate) options: Options,
}

impl StoreConfig {
    /// Returns whether it is a service that is reached over the network.
    pub(crate) fn is_remote(&self) -> bool {
        let kind = self.address.as_deref().map(stores::check_address);
        kind.is_some_and(|kind| kind != Ok(StoreKind::Local))
    }
}

/// What a library is told, by the library's own names.
pub(crate) type Options = BTreeMap<String, OptionValue>;

/// The value of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OptionValue {
    /// No secret.
    Plain(String),
    /// Read whenever the library asks.
    Secret(SecretRef),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    Process,
    Power,
}

#[derive(Clone, Debug)]
pub(crate) struct LandingConfig {
    pub(crate) store: StoreConfig,
    pub(crate) generation: u32,
    pub(crate) bytes_max: u64,
    pub(crate) rows_max: NonZeroU32,
    pub(crate) age_max: Duration,
    pub(crate) on_gap: OnGap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnGap {
    Stop,
    Record,
}

#[derive(Clone, Debug)]
pub(crate) struct LoadConfig {
    pub(crate) files_max: NonZeroU32,
    pub(crate) bytes_max: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct RefineConfig {
    pub(crate) semantics: Semantics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Semantics {
    Auto,
    Reading,
    Bar,
}

#[derive(Clone, Debug)]
pub(crate) struct MaintenanceConfig {
    pub(crate) every: Duration,
    pub(crate) checkpoint_versions: NonZeroU32,
    pub(crate) compact_files: NonZeroU32,
    pub(crate) retention: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    pub(crate) bind: SocketAddr,
    pub(crate) allowed_hosts: Vec<String>,
    /// `None`: no TLS.
    pub(crate) tls: Option<CertificateConfig>,
    /// Whether clients of this machine have to log in, too.
    pub(crate) has_login: bool,
    /// Whether SQL is answered there, too.
    pub(crate) has_sql: bool,
}

/// What is shared by the Delta Sharing protocol, and with whom.
#[derive(Clone, Debug)]
pub(crate) struct SharingConfig {
    pub(crate) is_enabled: bool,
    /// `None`: at the address of the HTTP port.
    pub(crate) endpoint: Option<Url>,
    pub(crate) url_lifetime: Duration,
    pub(crate) shares: Vec<Share>,
    pub(crate) recipients: Vec<Recipient>,
}

/// Where tables are served by Flight SQL.
#[derive(Clone, Debug)]
pub(crate) struct FlightConfig {
    pub(crate) is_enabled: bool,
    pub(crate) bind: SocketAddr,
    /// `None`: no TLS.
    pub(crate) tls: Option<CertificateConfig>,
}

/// The files of a port's certificate and its private key.
#[derive(Clone, Debug)]
pub(crate) struct CertificateConfig {
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    /// A `tracing` filter.
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// One thing an operator has to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The setting, such as `poll.interval`, or the file.
    pub(crate) path: String,
    /// Where the value came from, if it is known.
    pub(crate) origin: Option<String>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// Every problem of the settings, in the order of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(Problem { path: path.to_owned(), origin: None, message: message.into() });
    }

    /// Notes the error of `result` under `path`; returns the value if there is one.
    pub(crate) fn take<T>(&mut self, path: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(path, message)).ok()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the settings have {count} problem{}", if count == 1 { "" } else { "s" })?;
        for Problem { path, origin, message } in &self.0 {
            match origin {
                Some(origin) => write!(f, "\n{path} ({origin}): {message}")?,
                None => write!(f, "\n{path}: {message}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The effective settings and where each came from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) layers: Layers,
}

/// A settings file that was read: its name for messages, and its text.
#[derive(Clone, Debug)]
pub(crate) struct SettingsFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Reads the file given by `--config`.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_file(path: &Path) -> Result<SettingsFile, Problems> {
    let name = path.display().to_string();
    fs::read_to_string(path).map(|text| SettingsFile { name: name.clone(), text }).map_err(
        |error| {
            Problems(vec![Problem {
                path: name,
                origin: None,
                message: format!("cannot read this file: {error}"),
            }])
        },
    )
}

/// Settings that were read, before the secrets they refer to are.
#[derive(Debug)]
pub(crate) struct Unresolved {
    layers: Layers,
    problems: Problems,
}

/// Merges default, file, environment and flags. Pure.
///
/// `flags` are pairs of path and text, such as `("data_dir", "/srv/lake")`, with the flag's name.
pub(crate) fn read(
    file: Option<&SettingsFile>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(&str, &str, String)],
) -> Unresolved {
    let mut problems = Problems::default();
    let mut layers = Layers::of_defaults();
    if let Some(file) = file {
        layers.add_file(file, &mut problems);
    }
    layers.add_environment(environment, &mut problems);
    for (path, flag, value) in flags {
        layers.add_text(path, Origin::Flag((*flag).to_owned()), value, &mut problems);
    }
    Unresolved { layers, problems }
}

/// A setting that refers to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The setting, such as `topic.kafka.sasl_password`.
    pub(crate) path: String,
    pub(crate) secret: SecretRef,
    /// Whether the secret is the setting's value, which is read once, before anything else. The
    /// others are read again while marketlake runs.
    pub(crate) is_value: bool,
}

impl Unresolved {
    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }

    /// Returns every setting that refers to a secret, except the scopes' own.
    pub(crate) fn references(&self) -> Vec<Reference> {
        self.layers.references()
    }

    /// Checks what can be checked before any secret is read; returns the scopes to read from. Pure.
    ///
    /// A section with a value that is still to be read waits for it, and so does what several
    /// sections must agree on.
    ///
    /// # Errors
    /// Every other problem there is.
    pub(crate) fn scopes(&self) -> Result<BTreeMap<SecretName, ScopeConfig>, Problems> {
        let awaited: Vec<Reference> =
            self.references().into_iter().filter(|reference| reference.is_value).collect();
        let mut found = Problems::default();
        let mut problems = self.problems.clone();
        let mut scopes = BTreeMap::new();
        if let Some(file) = self.layers.to_file(&BTreeMap::new(), &mut found) {
            // What is wrong with them is found once more below.
            scopes = validate::scopes(&file.secrets, &mut Problems::default());
            let named = validate::scope_names(&file.secrets);
            for Reference { path, secret, .. } in &awaited {
                problems.take(path, validate::in_scope(secret, &named));
            }
            validate::validate(Some(file), &mut found);
        }
        let section = |path: &str| path.split('.').next().map(str::to_owned);
        found.0.retain(|problem| {
            !awaited.iter().any(|reference| section(&reference.path) == section(&problem.path))
        });
        problems.0.append(&mut found.0);
        self.layers.name_origins(&mut problems);
        if problems.0.is_empty() { Ok(scopes) } else { Err(problems) }
    }

    /// Returns how to log before any secret is read.
    pub(crate) fn log(&self) -> LogConfig {
        let mut ignored = Problems::default();
        let file = self.layers.to_file(&BTreeMap::new(), &mut ignored);
        let log = file.and_then(|file| validate::log(file.log, &mut ignored));
        log.unwrap_or(LogConfig { level: "info".to_owned(), format: LogFormat::Text })
    }

    /// Checks everything, with the values of those [`Self::references`] that have one. Pure.
    ///
    /// # Errors
    /// Every problem there is, not only the first.
    pub(crate) fn check(self, resolved: &BTreeMap<String, Secret>) -> Result<Loaded, Problems> {
        let Self { layers, mut problems } = self;
        let config = validate::validate(layers.to_file(resolved, &mut problems), &mut problems);
        if let Some(config) = &config {
            validate::relations(config, &mut problems);
        }
        layers.name_origins(&mut problems);
        match config {
            Some(config) if problems.0.is_empty() => Ok(Loaded { config, layers }),
            _ => Err(problems),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
