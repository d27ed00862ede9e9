//! Lines of a landing object, sealed as landing does: each is one row, whatever it holds.

use std::sync::LazyLock;

use autoloader::{
    Column, ColumnKind, RowSchema,
    decode::{Decoder, LINE_BYTES_MAX},
    target::BatchId,
    verify_object,
};
use model::{
    decimal::PRICE,
    landing::{Footer, LandingKey, LandingKind},
};
use sha2::{Digest as _, Sha256};

/// The first bytes of every zstd frame.
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

static SCHEMA: LazyLock<RowSchema> = LazyLock::new(|| {
    let columns = [
        ("symbol", ColumnKind::Text),
        ("close", ColumnKind::Decimal(PRICE)),
        ("date", ColumnKind::Timestamp),
        ("day", ColumnKind::Date),
        ("active", ColumnKind::Bool),
        ("volume", ColumnKind::Int64),
        ("extra", ColumnKind::Json),
    ];
    let column =
        |(name, kind): (&str, _)| Column { name: name.to_owned(), field: name.to_owned(), kind };
    RowSchema { columns: columns.into_iter().map(column).collect(), date_key: Some("date".into()) }
});

/// Reads an input as an object, and as the lines of one that is whole.
///
/// # Panics
/// Something panics, or a line is not one row.
pub fn landing(input: &[u8]) {
    let key = LandingKey {
        generation: 1,
        topic: "quotes".to_owned(),
        partition: 0,
        first_offset: 0,
        kind: LandingKind::Records,
    };
    if let Ok(rows) = verify_object(&key, input) {
        assert_eq!(rows.lines().count() as u64, rows.footer().count);
    }
    // Lines are JSON, so no object looks as if it were packed unless it is.
    if input.starts_with(ZSTD_MAGIC) {
        return;
    }
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let mut object = Vec::with_capacity(input.len() + 256);
    for line in &lines {
        object.extend_from_slice(line);
        object.push(b'\n');
    }
    let count = lines.len() as u64;
    let sha256: String = Sha256::digest(&object).iter().map(|byte| format!("{byte:02x}")).collect();
    let footer = Footer { first: 0, next: count, count, sha256, last_record_crc: 0 };
    object.extend_from_slice(footer.to_line().as_bytes());
    let rows = verify_object(&key, &object).expect("it is what its footer says");
    assert_eq!(rows.lines().count(), lines.len());
    let mut decoder = Decoder::new(&SCHEMA, LINE_BYTES_MAX);
    let decoded = decoder.decode(&key, &rows, BatchId(0)).expect("the schema has no problems");
    let found: usize = decoded.batches.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!((found, decoded.rows), (lines.len(), count));
    assert!(decoded.rows_corrupt <= count && decoded.rows_rescued <= count);
}
