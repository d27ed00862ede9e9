//! From the settings as written to the settings as trusted: pure, and never stops at the first
//! problem.

mod certificate;
mod flight;
mod postgres;
mod services;
mod sharing;
mod values;

use std::{
    collections::BTreeSet, net::SocketAddr, num::NonZeroU64, path::PathBuf, str::FromStr,
    time::Duration,
};

use chrono::{DateTime, NaiveDate, Utc};
use model::{BarInterval, clock::MarketTime, landing::LandingKey};
use secrets::SecretName;
use url::{Host, Url};

use super::{
    Config, Durability, HttpConfig, LandingConfig, LoadConfig, LogConfig, LogFormat,
    MaintenanceConfig, MarketTimeConfig, OnGap, PollConfig, Problems, RefineConfig, Semantics,
    SourceConfig, SourceVersion, TopicConfig,
    file::{
        ConfigFile, HttpFile, LandingFile, LoadFile, LogFile, MaintenanceFile, MarketTimeFile,
        PollFile, RefineFile, SourceFile, TopicFile,
    },
    units::parse_duration,
    validate::{
        certificate::{bind, certificate},
        services::reference,
        values::{at_least, choose, list, non_zero, optional, size_between},
    },
};

/// Leases and landing chains exist per partition; more buys nothing on one machine.
const PARTITIONS_MAX: i64 = 64;

/// The topic's longest dataset name, `exchanges`, must fit behind the prefix in 64 characters.
const LONGEST_DATASET: &str = "exchanges";

/// A writer that was paused for less than this must find the files it is about to commit.
const RETENTION_MIN: Duration = Duration::from_secs(7 * 24 * 3600);

pub(crate) use postgres::user;
pub(crate) use services::store_of;
pub(super) use services::{in_scope, scope_names, scopes};

pub(super) fn validate(file: Option<ConfigFile>, problems: &mut Problems) -> Option<Config> {
    let file = file?;
    let data_dir = problems.take(
        "data_dir",
        if file.data_dir.trim().is_empty() {
            Err("must name a folder".to_owned())
        } else {
            Ok(PathBuf::from(&file.data_dir))
        },
    );
    let durability = problems.take(
        "durability",
        choose(&file.durability, &[("process", Durability::Process), ("power", Durability::Power)]),
    );
    let scopes = scopes(&file.secrets, problems);
    let known = scope_names(&file.secrets);
    let source = source(&file.source, &known, problems);
    let poll = poll(&file.poll, problems);
    let market_time = market_time(&file.market_time, problems);
    let topic = topic(file.topic, &known, problems);
    let landing = landing(file.landing, &known, problems);
    let shared = services::shared_poll(
        &file.poll,
        landing.as_ref().map(|landing| &landing.store.options),
        problems,
    );
    let lake = services::store("lake", &file.lake.url, &file.lake.options, &known, problems);
    let load = load(&file.load, problems);
    let refine = refine(&file.refine, problems);
    let maintenance = maintenance(&file.maintenance, problems);
    let http = http(&file.http, problems);
    let postgres = postgres::postgres(file.postgres, &known, problems);
    let audit = postgres::audit(&file.serve.audit, problems);
    let sharing = sharing::sharing(&file.serve.sharing, problems);
    let flight = flight::flight(&file.serve.flight, problems);
    let log = log(file.log, problems);
    Some(Config {
        data_dir: data_dir?,
        durability: durability?,
        source: source?,
        poll: PollConfig { shared: shared?, ..poll? },
        market_time: market_time?,
        topic: topic?,
        landing: landing?,
        lake: lake?,
        load: load?,
        refine: refine?,
        maintenance: maintenance?,
        http: http?,
        postgres: postgres?,
        audit: audit?,
        sharing: sharing?,
        flight: flight?,
        scopes,
        log: log?,
    })
}

/// Checks what several sections must agree on.
pub(super) fn relations(config: &Config, problems: &mut Problems) {
    let (http, postgres) = (config.http.bind, config.postgres.bind);
    if http == postgres && http.port() != 0 {
        problems
            .add("postgres.bind", "is the address of `http.bind`; one port serves one protocol");
    }
    let flight = config.flight.bind;
    if config.flight.is_enabled && flight.port() != 0 && [http, postgres].contains(&flight) {
        problems.add(
            "serve.flight.bind",
            "is the address of `http.bind` or `postgres.bind`; one port serves one protocol",
        );
    }
    if config.poll.shared.is_some() && config.topic.kafka.is_none() {
        problems.add(
            "poll.state_url",
            "needs `topic.brokers`: the embedded topic is one file of one machine",
        );
    }
    if config.poll.look_back.as_secs() < config.poll.interval.length().num_seconds().unsigned_abs()
    {
        problems.add(
            "poll.look_back",
            "must be at least `poll.interval`, or a poll would skip the row that is still changing",
        );
    }
}

fn source(
    file: &SourceFile,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<SourceConfig> {
    let version = problems.take(
        "source.version",
        choose(&file.version, &[("v1", SourceVersion::V1), ("v2", SourceVersion::V2)]),
    );
    let base_url = problems.take("source.base_url", base_url(&file.base_url, version));
    let access_key = match reference(&file.access_key, scopes) {
        Ok(None) => Err("is needed; write a reference such as \
                         \"{{secrets/env/marketstack-access-key}}\""
            .to_owned()),
        Ok(Some(reference)) => Ok(reference),
        Err(message) => Err(message),
    };
    let access_key = problems.take("source.access_key", access_key);
    let requests_per_second =
        problems.take("source.requests_per_second", non_zero(file.requests_per_second, 1000));
    let quota_month = problems.take(
        "source.quota_month",
        u64::try_from(file.quota_month)
            .map(NonZeroU64::new)
            .map_err(|_| "must be 0 (nothing is counted) or more".to_owned()),
    );
    Some(SourceConfig {
        base_url: base_url?,
        version: version?,
        access_key: access_key?,
        requests_per_second: requests_per_second?,
        quota_month: quota_month?,
    })
}

fn base_url(text: &str, version: Option<SourceVersion>) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        // The value stays out of the message: what is wrong with it is that it holds a credential.
        return Err("must have neither user, password nor query; the key belongs into \
                    `source.access_key` as a reference"
            .to_owned());
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(format!("`{text}` names no host")),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback || version == Some(SourceVersion::V1) => Ok(url),
        "http" => Err(format!("`{text}` must be https: the access key travels in the address")),
        scheme => Err(format!("`{scheme}` is no scheme of a REST vendor; write https")),
    }
}

fn poll(file: &PollFile, problems: &mut Problems) -> Option<PollConfig> {
    let datasets = problems.take(
        "poll.datasets",
        list(&file.datasets, |text| {
            text.parse().map_err(|error: model::dataset::UnknownDataset| error.to_string())
        }),
    );
    let symbols = problems.take("poll.symbols", list(&file.symbols, symbol));
    let interval = problems.take(
        "poll.interval",
        BarInterval::from_str(&file.interval).map_err(|error| error.to_string()).and_then(
            |interval| match interval {
                BarInterval::Day1 => {
                    Err("must be shorter than a day; daily bars are the dataset `eod`".to_owned())
                }
                BarInterval::Hour1 => Err("cannot be 1h: the vendor's hours start at full hours, \
                     sessions at half past nine, so an hour would lie across the open; write 30m"
                    .to_owned()),
                _ => Ok(interval),
            },
        ),
    );
    let start_date = problems.take(
        "poll.start_date",
        optional(&file.start_date, |text| {
            text.parse::<NaiveDate>()
                .map_err(|_| format!("`{text}` is no date; write \"2026-01-02\""))
        }),
    );
    let look_back = problems.take("poll.look_back", parse_duration(&file.look_back));
    let revise_days = problems.take(
        "poll.revise_days",
        u32::try_from(file.revise_days)
            .ok()
            .filter(|days| *days <= 366)
            .ok_or_else(|| "must be 0 to 366".to_owned()),
    );
    let settle = problems.take("poll.settle", parse_duration(&file.settle));
    let poll_every =
        problems.take("poll.poll_every", at_least(&file.poll_every, Duration::from_millis(100)));
    Some(PollConfig {
        datasets: datasets?,
        symbols: symbols?,
        interval: interval?,
        after_hours: file.after_hours,
        start_date: start_date?,
        look_back: look_back?,
        revise_days: revise_days?,
        settle: settle?,
        poll_every: poll_every?,
        // Its store is opened as the landing zone is: see `services::shared_poll`.
        shared: None,
    })
}

fn symbol(text: &str) -> Result<String, String> {
    let is_valid = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && !text.starts_with('.');
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no ticker; use letters, digits, `.`, `-`, `_`"))
    }
}

fn market_time(file: &MarketTimeFile, problems: &mut Problems) -> Option<MarketTimeConfig> {
    let moment = |text: &str| {
        optional(text, |text| {
            DateTime::parse_from_rfc3339(text)
                .map(|ts| ts.with_timezone(&Utc))
                .map_err(|_| format!("`{text}` is no moment; write \"2019-02-11T14:30:00Z\""))
        })
    };
    let epoch = problems.take("market_time.epoch", moment(&file.epoch));
    let start = problems.take("market_time.start", moment(&file.start));
    let speed = problems.take("market_time.speed", non_zero(file.speed, 1_000_000));
    let replay = match (epoch?, start?, speed?) {
        (Some(epoch), Some(start), speed) => Some(MarketTime { epoch, start, speed: speed.get() }),
        (None, None, speed) if speed.get() == 1 => None,
        (None, None, _) => {
            problems.add("market_time.speed", "must be 1 without a replay (`epoch` and `start`)");
            return None;
        }
        (epoch, _, _) => {
            let path = if epoch.is_none() { "market_time.epoch" } else { "market_time.start" };
            problems.add(
                path,
                "must be given, too: `epoch` and `start` together say what market time it is",
            );
            return None;
        }
    };
    Some(MarketTimeConfig { replay })
}

fn topic(
    file: TopicFile,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<TopicConfig> {
    let kafka = services::kafka(&file, scopes, problems);
    let prefix = if LandingKey::is_topic_name(&format!("{}{LONGEST_DATASET}", file.prefix)) {
        Ok(file.prefix)
    } else {
        Err("must be at most 55 letters, digits, `.`, `_`, `-`, not starting with a dot".to_owned())
    };
    let prefix = problems.take("topic.prefix", prefix);
    let partitions = problems.take("topic.partitions", non_zero(file.partitions, PARTITIONS_MAX));
    let retention = problems.take("topic.retention", parse_duration(&file.retention));
    Some(TopicConfig {
        prefix: prefix?,
        partitions: partitions?,
        retention: retention?,
        kafka: kafka?,
    })
}

fn landing(
    file: LandingFile,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<LandingConfig> {
    let store = services::store("landing", &file.url, &file.options, scopes, problems);
    let generation = problems.take(
        "landing.generation",
        u32::try_from(file.generation).map_err(|_| "must be 0 or more".to_owned()),
    );
    let on_gap = problems.take(
        "landing.on_gap",
        choose(&file.on_gap, &[("stop", OnGap::Stop), ("record", OnGap::Record)]),
    );
    let bytes_max =
        problems.take("landing.bytes_max", size_between(&file.bytes_max, 4 << 10, 64 << 20));
    let rows_max = problems.take("landing.rows_max", non_zero(file.rows_max, 1_000_000));
    let age_max =
        problems.take("landing.age_max", at_least(&file.age_max, Duration::from_millis(1)));
    Some(LandingConfig {
        store: store?,
        generation: generation?,
        bytes_max: bytes_max?,
        rows_max: rows_max?,
        age_max: age_max?,
        on_gap: on_gap?,
    })
}

fn load(file: &LoadFile, problems: &mut Problems) -> Option<LoadConfig> {
    let files_max = problems.take("load.files_max", non_zero(file.files_max, 100_000));
    let bytes_max =
        problems.take("load.bytes_max", size_between(&file.bytes_max, 1 << 10, 8 << 30));
    Some(LoadConfig { files_max: files_max?, bytes_max: bytes_max? })
}

fn refine(file: &RefineFile, problems: &mut Problems) -> Option<RefineConfig> {
    let semantics = problems.take(
        "refine.semantics",
        choose(
            &file.semantics,
            &[("auto", Semantics::Auto), ("reading", Semantics::Reading), ("bar", Semantics::Bar)],
        ),
    );
    Some(RefineConfig { semantics: semantics? })
}

fn maintenance(file: &MaintenanceFile, problems: &mut Problems) -> Option<MaintenanceConfig> {
    let every = problems.take("maintenance.every", at_least(&file.every, Duration::from_secs(1)));
    let checkpoint_versions =
        problems.take("maintenance.checkpoint_versions", non_zero(file.checkpoint_versions, 1000));
    let compact_files =
        problems.take("maintenance.compact_files", non_zero(file.compact_files, 10_000));
    let retention =
        problems.take("maintenance.retention", at_least(&file.retention, RETENTION_MIN));
    Some(MaintenanceConfig {
        every: every?,
        checkpoint_versions: checkpoint_versions?,
        compact_files: compact_files?,
        retention: retention?,
    })
}

fn http(file: &HttpFile, problems: &mut Problems) -> Option<HttpConfig> {
    const TLS: &str = "http.tls";
    let tls = certificate(TLS, [&file.tls.cert_file, &file.tls.key_file], problems);
    // A certificate that is written down wrongly is a problem of its own.
    let has_tls = !matches!(tls, Some(None));
    let bind = problems.take("http.bind", bind(&file.bind, TLS, has_tls));
    let allowed_hosts = problems.take("http.allowed_hosts", hosts(&file.allowed_hosts));
    Some(HttpConfig {
        bind: bind?,
        allowed_hosts: allowed_hosts?,
        tls: tls?,
        has_login: file.login,
        has_sql: file.sql,
    })
}

fn hosts(texts: &[String]) -> Result<Vec<String>, String> {
    let is_host = |text: &String| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    };
    match texts.iter().find(|text| !is_host(text)) {
        Some(text) => Err(format!("`{text}` is no host name; write it without scheme and port")),
        None => Ok(texts.to_vec()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.replace("localhost:", "127.0.0.1:")
        .parse()
        .map_err(|_| format!("`{text}` is no address and port; write \"127.0.0.1:8080\""))
}

pub(super) fn log(file: LogFile, problems: &mut Problems) -> Option<LogConfig> {
    let level = problems.take(
        "log.level",
        if is_log_filter(&file.level) {
            Ok(file.level)
        } else {
            Err(format!(
                "`{}` is no filter; write one of off, error, warn, info, debug, trace, or \
                 \"info,ingest=debug\"",
                file.level
            ))
        },
    );
    let format = problems.take(
        "log.format",
        choose(&file.format, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
    );
    Some(LogConfig { level: level?, format: format? })
}

/// A level alone is for all crates; `crate=level` is for one. The library would take a mistyped
/// level for the name of a crate.
fn is_log_filter(text: &str) -> bool {
    let is_level = |level: &str| level.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    text.split(',').all(|part| match part.trim().split_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(part.trim()),
    })
}
