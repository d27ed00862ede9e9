//! Creating a topic that does not exist yet.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    KafkaTopicConfig,
    failure::{KafkaFailure, classify, client_failure, code_of},
    slot::Offload,
};

/// Creates the topic as configured. Somebody else having done so first is as good.
pub(super) async fn create_topic(
    client: &ClientConfig,
    config: &KafkaTopicConfig,
    topic: &str,
) -> Result<(), KafkaFailure> {
    let admin: AdminClient<DefaultClientContext> =
        client.create().map_err(|error| client_failure(&error))?;
    let admin = Offload::new(admin);
    let settings = settings(config);
    let partitions = i32::try_from(config.partitions.get()).unwrap_or(i32::MAX);
    // The broker's own default has a number of its own.
    let replication = if config.replication == 0 { -1 } else { i32::from(config.replication) };
    let mut wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication));
    for (name, value) in &settings {
        wanted = wanted.set(name, value);
    }
    let timeout = config.request_timeout;
    let options =
        AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
    let created = admin.create_topics([&wanted], &options).await;
    let refused = |code: RDKafkaErrorCode| classify(code, code.to_string(), timeout);
    match created {
        Ok(results) => match results.into_iter().next() {
            // Whoever was first, and a creation that goes on after its answer was due, is seen in
            // the metadata.
            None
            | Some(
                Ok(_)
                | Err((_, RDKafkaErrorCode::TopicAlreadyExists | RDKafkaErrorCode::RequestTimedOut)),
            ) => Ok(()),
            Some(Err((_, code))) => Err(refused(code)),
        },
        Err(KafkaError::AdminOpCreation(said)) => {
            Err(KafkaFailure::Refused { said, remedy: "check the topic's settings" })
        }
        Err(error) => Err(refused(code_of(&error))),
    }
}

/// The new topic's settings. Old segments go by the broker's clock: no clock of ours may decide
/// when records are dropped.
fn settings(config: &KafkaTopicConfig) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        ("max.message.bytes", config.record_bytes_max.to_string()),
    ];
    if let Some(retention) = config.retention {
        settings.push(("retention.ms", millis(retention)));
    }
    settings
}

fn millis(duration: Duration) -> String {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).to_string()
}
