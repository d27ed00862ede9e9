//! The services of the pipeline as written to as trusted: secret scopes, Kafka, stores.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use ingest::topic::kafka;
use secrets::{ScopeConfig, SecretName, SecretRef};

use super::values::{at_least, choose, non_zero};
use crate::config::{
    Compression, KafkaConfig, OptionValue, Options, Problems, SharedPollConfig, StoreConfig,
    file::{PollFile, SecretsFile, TopicFile},
};

/// Parts of the symbols: beyond this a part is a handful of symbols, and leases cost more than
/// the work they divide.
const SHARDS_MAX: i64 = 256;
/// A store may take seconds to answer; a lease must outlast that several times over.
const LEASE_MIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Parses a reference; empty text is none. The text itself never enters a message.
pub(super) fn reference(
    text: &str,
    scopes: &BTreeSet<SecretName>,
) -> Result<Option<SecretRef>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let reference: SecretRef = text.parse().map_err(|error| {
        format!(
            "is {error}; settings never hold a secret itself: set the environment variable \
             MARKETLAKE_SECRET_<KEY> and write \"{{{{secrets/env/<key>}}}}\""
        )
    })?;
    in_scope(&reference, scopes)?;
    Ok(Some(reference))
}

/// Checks that a reference names a scope that is written down.
pub(in crate::config) fn in_scope(
    SecretRef { scope, .. }: &SecretRef,
    scopes: &BTreeSet<SecretName>,
) -> Result<(), String> {
    if scopes.contains(scope) {
        return Ok(());
    }
    Err(format!("refers to scope `{scope}`, which has no table `[secrets.scopes.{scope}]`"))
}

/// Returns the names of the scopes, whatever is wrong with them: that is one problem, and not one
/// more for each reference.
pub(in crate::config) fn scope_names(file: &SecretsFile) -> BTreeSet<SecretName> {
    file.scopes.keys().filter_map(|name| name.parse().ok()).collect()
}

/// Reads the scopes; those that are wrong are left out.
pub(in crate::config) fn scopes(
    file: &SecretsFile,
    problems: &mut Problems,
) -> BTreeMap<SecretName, ScopeConfig> {
    let mut scopes = BTreeMap::new();
    for (name, fields) in &file.scopes {
        let mut fields = fields.clone();
        let path = |field: &str| format!("secrets.scopes.{name}.{field}");
        let Ok(scope_name) = name.parse::<SecretName>() else {
            problems.add(&path("provider"), "the scope's name must be letters, digits, `-_@.`");
            continue;
        };
        let provider = fields.remove("provider").unwrap_or_default();
        match ScopeConfig::from_fields(&provider, fields) {
            Ok(config) => {
                scopes.insert(scope_name, config);
            }
            Err(wrong) => {
                for (field, message) in wrong {
                    problems.add(&path(&field), message);
                }
            }
        }
    }
    for (scope, field, message) in ScopeConfig::check_all(&scopes) {
        problems.add(&format!("secrets.scopes.{scope}.{field}"), message);
    }
    scopes
}

/// Reads what Kafka needs; `Some(None)` is the embedded topic.
pub(super) fn kafka(
    file: &TopicFile,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<Option<KafkaConfig>> {
    let brokers = file.brokers.trim();
    if brokers.is_empty() {
        let Some(name) = file.kafka.keys().next() else { return Some(None) };
        problems.add(&format!("topic.kafka.{name}"), "means nothing without `topic.brokers`");
        return None;
    }
    let addresses = problems.take("topic.brokers", addresses(brokers));
    let replication = problems.take(
        "topic.replication",
        u16::try_from(file.replication)
            .ok()
            .filter(|copies| *copies <= 15)
            .ok_or_else(|| "must be 0 (the cluster decides) to 15".to_owned()),
    );
    let compression = problems.take(
        "topic.compression",
        choose(
            &file.compression,
            &[
                ("none", Compression::None),
                ("gzip", Compression::Gzip),
                ("lz4", Compression::Lz4),
                ("snappy", Compression::Snappy),
                ("zstd", Compression::Zstd),
            ],
        ),
    );
    let group = problems.take(
        "topic.group",
        if file.group.trim().is_empty() || file.group.len() > 249 {
            Err("must be 1 to 249 characters".to_owned())
        } else {
            Ok(file.group.clone())
        },
    );
    let properties = options("topic.kafka", &file.kafka, scopes, problems, |name, value| {
        let mut name = name.replace('_', ".");
        if name == "sasl.mechanism" {
            // librdkafka takes both names.
            name.push('s');
        }
        kafka::check_property(&name, value)?;
        let is_secret = kafka::is_secret_property(&name);
        Ok((name, is_secret))
    });
    Some(Some(KafkaConfig {
        brokers: addresses?,
        replication: replication?,
        compression: compression?,
        group: group?,
        properties: properties?,
    }))
}

fn addresses(text: &str) -> Result<String, String> {
    let mut addresses = Vec::new();
    for address in text.split(',').map(str::trim) {
        let is_valid = address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()
        });
        if !is_valid {
            return Err(format!("`{address}` is no address; write \"kafka-1:9092,kafka-2:9092\""));
        }
        addresses.push(address);
    }
    Ok(addresses.join(","))
}

/// Reads where the store of `section` lies; an empty address is a folder of the data folder.
pub(super) fn store(
    section: &str,
    url: &str,
    written: &BTreeMap<String, String>,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
) -> Option<StoreConfig> {
    let options_path = format!("{section}.options");
    let address = url.trim();
    if address.is_empty() {
        let Some(name) = written.keys().next() else { return Some(StoreConfig::default()) };
        problems.add(
            &format!("{options_path}.{name}"),
            format!("means nothing without `{section}.url`"),
        );
        return None;
    }
    let kind = problems.take(&format!("{section}.url"), stores::check_address(address))?;
    let options = options(&options_path, written, scopes, problems, |name, _| {
        let known = stores::check_option(kind, name)?;
        Ok((known, stores::is_secret_option(kind, name)))
    });
    Some(StoreConfig { address: Some(address.to_owned()), options: options? })
}

/// Reads how the store at `address` is opened, with options that `flag` gave on the command line.
pub(crate) fn store_of(
    flag: &str,
    address: &str,
    written: &BTreeMap<String, String>,
    scopes: &BTreeMap<SecretName, ScopeConfig>,
) -> Result<StoreConfig, Problems> {
    let mut problems = Problems::default();
    let scopes = scopes.keys().cloned().collect();
    let kind = problems.take(flag.trim_end_matches("-option"), stores::check_address(address));
    let options = kind.and_then(|kind| {
        options(flag, written, &scopes, &mut problems, |name, _| {
            let known = stores::check_option(kind, name)?;
            Ok((known, stores::is_secret_option(kind, name)))
        })
    });
    match options {
        Some(options) => Ok(StoreConfig { address: Some(address.to_owned()), options }),
        None => Err(problems),
    }
}

/// Reads how pollers share; `Some(None)` is one poller alone.
pub(super) fn shared_poll(
    file: &PollFile,
    landing_options: Option<&Options>,
    problems: &mut Problems,
) -> Option<Option<SharedPollConfig>> {
    let shards = problems.take("poll.shards", non_zero(file.shards, SHARDS_MAX));
    let generation = problems.take("poll.generation", non_zero(file.generation, 1000));
    let lease = problems.take("poll.lease", at_least(&file.lease, LEASE_MIN));
    let address = file.state_url.trim();
    if address.is_empty() {
        return Some(None);
    }
    let kind = problems.take("poll.state_url", stores::check_address(address))?;
    let options = landing_options?.clone();
    for name in options.keys() {
        let known = stores::check_option(kind, name);
        let borrowed = known.map_err(|message| {
            format!("is opened with `[landing.options]`, which does not fit its kind of store: {message}")
        });
        problems.take("poll.state_url", borrowed)?;
    }
    let state = StoreConfig { address: Some(address.to_owned()), options };
    Some(Some(SharedPollConfig { state, shards: shards?, generation: generation?, lease: lease? }))
}

/// Reads the options of a library. `check` gives an option's name as the library knows it and
/// whether its value is a secret, which then has to be a reference. No value enters a message.
fn options(
    section: &str,
    written: &BTreeMap<String, String>,
    scopes: &BTreeSet<SecretName>,
    problems: &mut Problems,
    check: impl Fn(&str, &str) -> Result<(String, bool), String>,
) -> Option<Options> {
    let mut options = Options::new();
    let mut is_valid = true;
    for (name, text) in written {
        let option = check(name, text).and_then(|(known, is_secret)| {
            let looks_like_one = text.trim().starts_with("{{");
            let value = if is_secret || looks_like_one {
                OptionValue::Secret(reference(text, scopes)?.ok_or("must not be empty")?)
            } else {
                OptionValue::Plain(text.clone())
            };
            Ok((known, value))
        });
        let option = option.and_then(|(known, value)| match options.entry(known) {
            // Which of the two the library would take is chance, not the order of the layers.
            Entry::Occupied(first) => {
                let known = first.key();
                Err(format!("is written twice, in two spellings of `{known}`; delete one"))
            }
            Entry::Vacant(free) => {
                free.insert(value);
                Ok(())
            }
        });
        is_valid &= problems.take(&format!("{section}.{name}"), option).is_some();
    }
    is_valid.then_some(options)
}
