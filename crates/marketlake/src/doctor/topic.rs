//! The topic: whether records can be written and read, and how much waits.

use std::time::Duration;

use bytes::Bytes;
use ingest::{
    landing::generation,
    topic::{Fetched, NewRecord, TopicReader, TopicWriter},
};
use model::Dataset;

use super::{Doctor, Report};
use crate::{
    assemble::{Access, ResultExt, Topic, Workbench},
    failure::Failure,
};

/// Put behind the prefix: a topic of the doctor's own, which nothing lands.
const TRIAL_TOPIC: &str = "doctor";
/// How long the cluster may take to answer; well within the time of the whole check.
const PATIENCE: Duration = Duration::from_secs(10);
/// Reads before a record that was acknowledged counts as not found.
const READS_MAX: u32 = 10;
/// Content of one read: the trial's records are a few bytes.
const READ_BYTES_MAX: u64 = 64 * 1024;

pub(super) async fn examine(doctor: &mut Doctor, bench: &Workbench) {
    let mut opened = None;
    let is_kafka = bench.config.topic.kafka.is_some();
    let work = async {
        let topic = Topic::open_with_patience(bench, PATIENCE).await?;
        let mut existing = 0;
        for dataset in Dataset::ALL {
            let partitions = topic.reader.partitions(&bench.topic_name(dataset)).await.or_fail()?;
            existing += u32::from(partitions != 0);
        }
        let place = match &bench.config.topic.kafka {
            Some(kafka) => kafka.brokers.clone(),
            None => "embedded".to_owned(),
        };
        opened = Some(topic);
        Ok(Report::ok(format!("{place}, {existing} of {} topics exist", Dataset::ALL.len())))
    };
    let remedy = "`topic.brokers` and `[topic.kafka]` say where the cluster is and who asks";
    doctor.check("topic", "reach", remedy, work).await;
    let Some(topic) = opened else {
        doctor.skip("topic", &["produce and consume", "backlog"], "reach");
        return;
    };
    if is_kafka {
        let work = there_and_back(bench, topic.writer.as_ref(), topic.reader.as_ref());
        let remedy = "the user needs CREATE, WRITE, READ and DESCRIBE on the topics, and \
                      IDEMPOTENT_WRITE on the cluster where it is a right of its own";
        doctor.check("topic", "produce and consume", remedy, work).await;
    }
    let work = backlog(bench, topic.reader.as_ref());
    doctor.check("topic", "backlog", "see what the landing stage says", work).await;
}

/// Appends a record and reads it back.
async fn there_and_back(
    bench: &Workbench,
    writer: &dyn TopicWriter,
    reader: &dyn TopicReader,
) -> Result<Report, Failure> {
    let name = format!("{}{TRIAL_TOPIC}", bench.config.topic.prefix);
    let value = Bytes::from(format!("{{\"trial\":\"{:016x}\"}}", rand::random::<u64>()));
    let mut positions = Vec::new();
    for partition in 0..reader.partitions(&name).await.or_fail()? {
        positions.push(reader.end_offset(&name, partition).await.or_fail()?);
    }
    let record = NewRecord { key: "trial".to_owned(), value: value.clone(), headers: Vec::new() };
    writer.append(&name, vec![record]).await.or_fail()?;
    let partitions = reader.partitions(&name).await.or_fail()?;
    positions.resize(usize::try_from(partitions).unwrap_or_default(), 0);
    for _ in 0..READS_MAX {
        for (partition, position) in (0..partitions).zip(&mut positions) {
            let read = reader.read(&name, partition, *position, READ_BYTES_MAX).await.or_fail()?;
            let Fetched::Records(records) = read else { continue };
            if records.iter().any(|record| record.value == value) {
                return Ok(Report::ok(format!("a record went through topic `{name}`")));
            }
            *position = records.last().map_or(*position, |record| record.offset + 1);
        }
    }
    Err(Failure::config(format!(
        "a record that topic `{name}` acknowledged cannot be read from it"
    )))
}

async fn backlog(bench: &Workbench, reader: &dyn TopicReader) -> Result<Report, Failure> {
    let landing = bench.landing_store(Access::Read).await?;
    let floor = bench.config.landing.generation;
    let mut waiting = 0;
    for dataset in Dataset::ALL {
        let name = bench.topic_name(dataset);
        let current = generation::current(&landing, &name, floor).await.or_fail()?;
        for partition in 0..reader.partitions(&name).await.or_fail()? {
            let end = reader.end_offset(&name, partition).await.or_fail()?;
            let next = current.landed(&landing, &name, partition).await.or_fail()?;
            if end < next {
                return Ok(Report::warn(
                    format!("topic `{name}`, partition {partition} ends at {end}, {next} landed"),
                    "the topic lost records: landing goes on in a new generation when it runs",
                ));
            }
            waiting += end - next;
        }
    }
    Ok(Report::ok(format!("{waiting} records wait to be landed")))
}
