//! The settings as written: every value still text, number or switch, nothing believed yet.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) data_dir: String,
    pub(super) durability: String,
    pub(super) source: SourceFile,
    pub(super) poll: PollFile,
    pub(super) market_time: MarketTimeFile,
    pub(super) topic: TopicFile,
    pub(super) landing: LandingFile,
    pub(super) lake: LakeFile,
    pub(super) load: LoadFile,
    pub(super) refine: RefineFile,
    pub(super) maintenance: MaintenanceFile,
    pub(super) http: HttpFile,
    pub(super) postgres: PostgresFile,
    pub(super) serve: ServeFile,
    pub(super) secrets: SecretsFile,
    pub(super) log: LogFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceFile {
    pub(super) base_url: String,
    pub(super) version: String,
    pub(super) access_key: String,
    pub(super) requests_per_second: i64,
    pub(super) quota_month: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollFile {
    pub(super) datasets: Vec<String>,
    pub(super) symbols: Vec<String>,
    pub(super) interval: String,
    pub(super) after_hours: bool,
    pub(super) start_date: String,
    pub(super) look_back: String,
    pub(super) revise_days: i64,
    pub(super) settle: String,
    pub(super) poll_every: String,
    pub(super) state_url: String,
    pub(super) shards: i64,
    pub(super) generation: i64,
    pub(super) lease: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarketTimeFile {
    pub(super) epoch: String,
    pub(super) start: String,
    pub(super) speed: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicFile {
    pub(super) brokers: String,
    pub(super) prefix: String,
    pub(super) partitions: i64,
    pub(super) replication: i64,
    pub(super) compression: String,
    pub(super) retention: String,
    pub(super) group: String,
    /// Properties of librdkafka.
    #[serde(default)]
    pub(super) kafka: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LandingFile {
    pub(super) url: String,
    /// Options of the store.
    #[serde(default)]
    pub(super) options: BTreeMap<String, String>,
    pub(super) generation: i64,
    pub(super) on_gap: String,
    pub(super) bytes_max: String,
    pub(super) rows_max: i64,
    pub(super) age_max: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LakeFile {
    pub(super) url: String,
    /// Options of the store.
    #[serde(default)]
    pub(super) options: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadFile {
    pub(super) files_max: i64,
    pub(super) bytes_max: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefineFile {
    pub(super) semantics: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintenanceFile {
    pub(super) every: String,
    pub(super) checkpoint_versions: i64,
    pub(super) compact_files: i64,
    pub(super) retention: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpFile {
    pub(super) bind: String,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) login: bool,
    pub(super) sql: bool,
    pub(super) tls: CertificateFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PostgresFile {
    pub(super) bind: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) tls: TlsFile,
    /// The fields of each role.
    #[serde(default)]
    pub(super) roles: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    pub(super) cert_file: String,
    pub(super) key_file: String,
    pub(super) required: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServeFile {
    pub(super) audit: AuditFile,
    pub(super) sharing: SharingFile,
    pub(super) flight: FlightFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditFile {
    pub(super) enabled: bool,
    pub(super) file_bytes_max: String,
    pub(super) files_max: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SharingFile {
    pub(super) enabled: bool,
    pub(super) endpoint: String,
    pub(super) url_lifetime: String,
    /// Schemas and tables of each share.
    pub(super) shares: BTreeMap<String, String>,
    /// Hash, shares and end of each token.
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlightFile {
    pub(super) enabled: bool,
    pub(super) bind: String,
    pub(super) tls: CertificateFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateFile {
    pub(super) cert_file: String,
    pub(super) key_file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretsFile {
    /// The fields of each scope, its `provider` among them.
    pub(super) scopes: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFile {
    pub(super) level: String,
    pub(super) format: String,
}
