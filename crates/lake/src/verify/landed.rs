//! What landed: the chain of objects, every line's place in it, and whether bronze has each line.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use arrow::{
    array::{Array, Int32Array},
    compute::concat_batches,
    record_batch::RecordBatch,
};
use autoloader::{
    BatchId, ObjectRows,
    decode::{Decoder, LINE_BYTES_MAX},
    verify_object,
};
use futures::TryStreamExt;
use model::{
    Dataset,
    envelope::EnvelopeLine,
    landing::{LandingKey, LandingKind},
};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use super::{FetchedPage, Findings, VerifyTopic, pinned::PinnedLake, rows::difference};
use crate::{
    Error,
    bronze::row_schema,
    rows::{Columns, text_or_empty},
    schema::table_def,
};

/// A row as the poller counted it: fetch, page, row.
type FetchedRow = (u64, u32, u64);

/// The lines of one topic's chains.
#[derive(Debug, Default)]
pub(super) struct Landed {
    /// Each object's lines, decoded as the loader does, in chain order.
    objects: Vec<(String, Vec<RecordBatch>)>,
    /// Rows that landed, with their day.
    rows: HashMap<FetchedRow, i32>,
    /// The offset behind each partition's chain in the present generation.
    ends: BTreeMap<u32, u64>,
}

/// Walks the chains of all generations; whatever breaks one is noted as a breach.
pub(super) async fn walk(
    landing: &Arc<dyn ObjectStore>,
    topic: &VerifyTopic,
    findings: &mut Findings<'_>,
) -> Result<Landed, Error> {
    let mut landed = Landed::default();
    for (chain, keys) in chains(landing, topic).await? {
        let mut next = match (chain.0, keys.first()) {
            // The first chain starts where topics do; a later one where the topic stood then.
            (0, _) | (_, None) => 0,
            (_, Some(first)) => first.first_offset,
        };
        for key in keys {
            let bytes = read(landing, &key).await?;
            let object = match verify_object(&key, &bytes) {
                Ok(object) => object,
                Err(error) => {
                    let cause = std::error::Error::source(&error)
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    findings.breach(topic.dataset, format!("{error}: {cause}"));
                    continue;
                }
            };
            if key.first_offset != next {
                let problem = format!(
                    "landing chain of partition {}: `{key}` follows offset {next}",
                    key.partition
                );
                findings.breach(topic.dataset, problem);
            }
            next = object.footer().next;
            if key.kind == LandingKind::Gap {
                let problem = format!("`{key}`: the topic dropped records before they landed");
                findings.breach(topic.dataset, problem);
                continue;
            }
            landed.take_object(&key, &object, topic.dataset, findings)?;
        }
        if chain.0 == topic.generation {
            landed.ends.insert(chain.1, next);
        }
    }
    Ok(landed)
}

/// Returns the keys of every chain of a topic, by generation and partition, in chain order.
async fn chains(
    landing: &Arc<dyn ObjectStore>,
    topic: &VerifyTopic,
) -> Result<BTreeMap<(u32, u32), Vec<LandingKey>>, Error> {
    let error = |source: object_store::Error| Error::Landing {
        key: topic.topic.clone(),
        source: Box::new(source),
    };
    let generations = landing.list_with_delimiter(None).await.map_err(error)?.common_prefixes;
    let mut chains: BTreeMap<(u32, u32), Vec<LandingKey>> = BTreeMap::new();
    for generation in generations {
        let prefix = generation.join(topic.topic.as_str());
        let objects: Vec<_> = landing.list(Some(&prefix)).try_collect().await.map_err(error)?;
        // Staging files that a killed writer left behind are no keys.
        let keys = objects.iter().filter_map(|object| object.location.as_ref().parse().ok());
        for key in keys {
            let key: LandingKey = key;
            chains.entry((key.generation, key.partition)).or_default().push(key);
        }
    }
    for keys in chains.values_mut() {
        keys.sort();
    }
    Ok(chains)
}

async fn read(landing: &Arc<dyn ObjectStore>, key: &LandingKey) -> Result<bytes::Bytes, Error> {
    let error = |source: object_store::Error| Error::Landing {
        key: key.to_string(),
        source: Box::new(source),
    };
    let object = landing.get(&Path::from(key.to_string())).await.map_err(error)?;
    object.bytes().await.map_err(error)
}

impl Landed {
    fn take_object(
        &mut self,
        key: &LandingKey,
        object: &ObjectRows,
        dataset: Dataset,
        findings: &mut Findings<'_>,
    ) -> Result<(), Error> {
        let decoded = Decoder::new(&row_schema(dataset), LINE_BYTES_MAX)
            .decode(key, object, BatchId(0))
            .map_err(|error| Error::Content {
                table: format!("bronze.{dataset}"),
                problem: format!("decoding `{key}`: {error}"),
            })?;
        let mut days = Vec::new();
        for batch in &decoded.batches {
            let column = Columns::new("bronze", batch).int("date_key")?;
            days.extend((0..batch.num_rows()).map(|row| day_at(column, row)));
        }
        let footer = object.footer();
        let mut after = footer.first;
        for (line, day) in object.lines().zip(days) {
            findings.day(dataset, day).landed += 1;
            let Ok(line) = EnvelopeLine::parse(line) else {
                continue;
            };
            if line.offset < after || footer.next <= line.offset {
                let (next, offset) = (footer.next, line.offset);
                let problem = format!("`{key}`: offset {offset} is not between {after} and {next}");
                findings.breach(dataset, problem);
            }
            after = line.offset.saturating_add(1);
            let headers = &line.headers;
            if let (Ok(fetch_id), Ok(page), Ok(row)) =
                (headers.fetch_id.parse(), headers.page.parse(), headers.row.parse())
            {
                self.rows.insert((fetch_id, page, row), day);
            }
        }
        findings.looked(&format!("landing of {dataset}"), decoded.rows);
        self.objects.push((key.to_string(), decoded.batches));
        Ok(())
    }
}

/// Checks that every row of every completed page landed.
pub(super) fn compare_fetched(
    topic: &VerifyTopic,
    fetched: &[FetchedPage],
    landed: &Landed,
    findings: &mut Findings<'_>,
) {
    let dataset = topic.dataset;
    // A page is recorded when the topic has all of it, so a row that is not there yet can only be
    // among the records that have not landed.
    let has_landed = |(partition, end): (u32, &u64)| {
        landed.ends.get(&partition).copied().unwrap_or_default() >= *end
    };
    let is_all_landed = (0..).zip(&topic.ends).all(has_landed);
    for page in fetched.iter().filter(|page| page.dataset == dataset) {
        let mut missing = Vec::new();
        for row in 0..page.rows {
            match landed.rows.get(&(page.fetch_id, page.page, row)) {
                Some(day) => findings.day(dataset, *day).fetched += 1,
                None => missing.push(row),
            }
        }
        let Some(first) = missing.first() else {
            continue;
        };
        let problem = format!(
            "{} of {} rows of page {}, fetch {}, have not landed; the first is row {first}",
            missing.len(),
            page.rows,
            page.page,
            page.fetch_id
        );
        if page.may_be_lost {
            findings.lost(dataset, problem);
        } else if is_all_landed {
            findings.breach(dataset, problem);
        } else {
            findings.pending(dataset, problem);
        }
    }
}

/// Checks that bronze has every landed line exactly once, as the loader decodes it.
pub(super) async fn compare_bronze(
    dataset: Dataset,
    lake: &mut PinnedLake,
    landed: Landed,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let def = table_def("bronze", dataset.as_str());
    let bronze = lake.rows("bronze", dataset.as_str(), findings).await?;
    let mut files = BTreeSet::new();
    if let Some(rows) = &bronze {
        let columns = Columns::new(def.name, rows);
        let (file, days) = (columns.text("_file")?, columns.int("date_key")?);
        let corrupt = columns.text("_corrupt_reason")?;
        for row in 0..rows.num_rows() {
            files.insert(text_or_empty(file, row));
            let day = findings.day(dataset, day_at(days, row));
            if corrupt.is_null(row) {
                day.bronze += 1;
            } else {
                day.corrupt += 1;
            }
        }
    }
    // A file that is not in bronze may be new; one before a file that is in bronze is lost.
    let newest: BTreeMap<&str, &str> =
        files.iter().map(|file| (partition_of(file), *file)).collect();
    let mut expected = Vec::new();
    for (file, batches) in landed.objects {
        let is_newer = newest.get(partition_of(&file)).is_none_or(|newest| *newest < file.as_str());
        if is_newer {
            findings.pending(dataset, format!("`{file}` is not in bronze yet"));
        } else {
            expected.extend(batches);
        }
    }
    let expected = concat_batches(&def.schema, &expected)
        .map_err(|error| Error::Content { table: def.full_name(), problem: error.to_string() })?;
    // Which batch brought a line is the loader's choice.
    let found = difference(def, bronze.as_ref(), Some(&expected), &["_batch_id"])?;
    if let Some(difference) = found {
        findings
            .breach(dataset, format!("{} against the landing zone: {difference}", def.full_name()));
    }
    Ok(())
}

/// Returns the part of a landing key that names the partition.
fn partition_of(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(partition, _)| partition)
}

/// Returns a row's day as `yyyymmdd`, or 0.
pub(super) fn day_at(days: &Int32Array, row: usize) -> i32 {
    if days.is_null(row) { 0 } else { days.value(row) }
}
