//! What landed: the chain of objects, and every line's place in it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use autoloader::verify_object;
use futures::TryStreamExt;
use model::{
    Dataset,
    envelope::EnvelopeLine,
    landing::{LandingKey, LandingKind},
};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use serde::Deserialize;

use super::{FetchedPage, Verification};
use crate::Error;

/// The lines of one dataset's chains.
#[derive(Debug, Default)]
pub(super) struct Landed {
    /// Lines of each object.
    pub lines: BTreeMap<String, u64>,
    /// The offsets of each partition.
    pub offsets: HashMap<u32, BTreeSet<u64>>,
    /// Rows that landed, by fetch, page and row, with their day.
    rows: HashMap<(u64, u32, u64), i32>,
}

/// The part of a row that tells its day.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Dated {
    date: Option<String>,
}

/// Walks every partition's chain; whatever breaks it is noted as a breach.
pub(super) async fn walk(
    landing: &Arc<dyn ObjectStore>,
    generation: u32,
    topic: &str,
    partitions: u32,
    dataset: Dataset,
    verification: &mut Verification,
) -> Result<Landed, Error> {
    let mut landed = Landed::default();
    for partition in 0..partitions {
        let prefix = Path::from(LandingKey::partition_prefix(generation, topic, partition));
        let error = |source: object_store::Error| Error::Landing {
            key: prefix.to_string(),
            source: Box::new(source),
        };
        let objects: Vec<_> = landing.list(Some(&prefix)).try_collect().await.map_err(error)?;
        let mut keys: Vec<LandingKey> =
            objects.iter().filter_map(|object| object.location.as_ref().parse().ok()).collect();
        keys.sort();
        let mut next = 0;
        for key in keys {
            let path = Path::from(key.to_string());
            let bytes = match landing.get(&path).await {
                Ok(object) => object.bytes().await.map_err(error)?,
                Err(source) => return Err(error(source)),
            };
            let object = match verify_object(&key, &bytes) {
                Ok(object) => object,
                Err(error) => {
                    let cause = std::error::Error::source(&error)
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    verification.breach(dataset, format!("{error}: {cause}"));
                    continue;
                }
            };
            if key.first_offset != next {
                verification.breach(
                    dataset,
                    format!(
                        "landing chain of partition {partition}: `{key}` follows offset {next}"
                    ),
                );
            }
            next = object.footer().next;
            if key.kind == LandingKind::Gap {
                verification.breach(
                    dataset,
                    format!("`{key}`: the topic dropped records before they landed"),
                );
                continue;
            }
            landed.take_object(&key, &object, dataset, verification);
        }
    }
    Ok(landed)
}

impl Landed {
    fn take_object(
        &mut self,
        key: &LandingKey,
        object: &autoloader::ObjectRows,
        dataset: Dataset,
        verification: &mut Verification,
    ) {
        let mut count = 0;
        for (line, offset) in object.lines().zip(key.first_offset..) {
            count += 1;
            let parsed = EnvelopeLine::parse(line).ok();
            let day = parsed.as_ref().map_or(0, |line| day_key(line.data.get()));
            let offset = parsed.as_ref().map_or(offset, |line| line.offset);
            verification.day(dataset, day).landed += 1;
            if !self.offsets.entry(key.partition).or_default().insert(offset) {
                verification.breach(
                    dataset,
                    format!("offset {offset} of partition {} landed twice", key.partition),
                );
            }
            let Some(line) = parsed else {
                continue;
            };
            let headers = &line.headers;
            if let (Ok(fetch_id), Ok(page), Ok(row)) =
                (headers.fetch_id.parse(), headers.page.parse(), headers.row.parse())
            {
                self.rows.insert((fetch_id, page, row), day);
            }
        }
        self.lines.insert(key.to_string(), count);
    }
}

/// Checks that every row of every completed page landed.
pub(super) fn compare_fetched(
    dataset: Dataset,
    fetched: &[FetchedPage],
    landed: &Landed,
    verification: &mut Verification,
) {
    let mut seen = HashSet::new();
    for page in fetched.iter().filter(|page| page.dataset == dataset) {
        for row in 0..page.rows {
            match landed.rows.get(&(page.fetch_id, page.page, row)) {
                Some(day) => {
                    if seen.insert((page.fetch_id, page.page, row)) {
                        verification.day(dataset, *day).fetched += 1;
                    }
                }
                None => verification.pending(
                    dataset,
                    format!(
                        "row {row} of page {}, fetch {}, has not landed",
                        page.page, page.fetch_id
                    ),
                ),
            }
        }
    }
}

/// Returns a row's date as `yyyymmdd` UTC, or 0.
///
/// The offset the vendor writes is always zero, so the text's first ten characters are the date.
fn day_key(row: &str) -> i32 {
    let date = serde_json::from_str::<Dated>(row).ok().and_then(|row| row.date).unwrap_or_default();
    let date = date.get(..10).and_then(|text| text.parse::<chrono::NaiveDate>().ok());
    date.map_or(0, crate::rows::date_key)
}
