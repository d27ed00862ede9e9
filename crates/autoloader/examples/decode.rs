//! Prints how fast rows like a vendor's become columns, on one core: `cargo run --release
//! --example decode`. On demand only; nothing depends on the number.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use arrow::datatypes::Schema;

use autoloader::{
    BatchId, Column, ColumnKind, RowSchema,
    decode::{Decoder, LINE_BYTES_MAX},
    files::{
        Decoded, ReadSchema,
        format::{FileProblem, Stretches, open},
        options::{CsvOptions, Format, JsonOptions},
    },
    output_schema, verify_object,
};
use model::{
    decimal::{PRICE, VOLUME},
    landing::{Footer, LandingKey, LandingKind},
};
use sha2::{Digest, Sha256};

const ROWS: u64 = 100_000;
const ROUNDS: u32 = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (key, object) = object()?;
    let schema = schema();
    let megabytes = f64::from(u32::try_from(object.len())?) / 1e6;
    report("zstd, footer, sha256", megabytes, || verify_object(&key, &object).map(drop))?;
    let rows = verify_object(&key, &object)?;
    let raw = f64::from(u32::try_from(rows.bytes().len())?) / 1e6;
    report("lines to columns", raw, || {
        Decoder::new(&schema, LINE_BYTES_MAX).decode(&key, &rows, BatchId(0)).map(drop)
    })?;
    let (json, csv) = files();
    for (what, format, file) in [
        ("JSON lines of others to columns", Format::Json(JsonOptions::default()), json),
        (
            "CSV of others to columns",
            Format::Csv(CsvOptions { has_header: true, ..CsvOptions::default() }),
            csv,
        ),
    ] {
        let megabytes = f64::from(u32::try_from(file.len())?) / 1e6;
        report(what, megabytes, || read(&format, &file))?;
    }
    Ok(())
}

/// Reads a file in pieces, as they come from a store.
fn read(format: &Format, file: &[u8]) -> Result<(), FileProblem> {
    const PIECE_BYTES: usize = 1 << 20;
    let output = output_schema(&schema());
    let own: Vec<_> = output.fields().iter().take(schema().columns.len()).cloned().collect();
    let columns = ReadSchema {
        columns: Arc::new(Schema::new(own)),
        ignored: BTreeSet::new(),
        is_rescuing: true,
        is_case_sensitive: true,
        is_observing: false,
    };
    let mut reader = open(format, Arc::new(columns))?;
    let mut let_go = |_: Decoded| Ok::<_, FileProblem>(());
    for piece in file.chunks(PIECE_BYTES) {
        Stretches::each(&mut let_go, |out| reader.push(piece, out))?;
    }
    Stretches::each(&mut let_go, |out| reader.finish(out))
}

#[expect(clippy::print_stdout, reason = "an example that measures")]
fn report<E: std::error::Error + 'static>(
    what: &str,
    megabytes: f64,
    mut work: impl FnMut() -> Result<(), E>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        #[expect(clippy::disallowed_methods, reason = "an example that measures")]
        let began = std::time::Instant::now();
        work()?;
        best = best.min(began.elapsed());
    }
    println!("{what}: {:.0} MB/s, best of {ROUNDS}", megabytes / best.as_secs_f64());
    Ok(())
}

/// The columns of an intraday reading.
fn schema() -> RowSchema {
    let kinds: [(&[&str], ColumnKind); 4] = [
        (&["symbol", "exchange"], ColumnKind::Text),
        (&["date"], ColumnKind::Timestamp),
        (&["volume"], ColumnKind::Decimal(VOLUME)),
        (PRICES, ColumnKind::Decimal(PRICE)),
    ];
    let columns = kinds.into_iter().flat_map(|(names, kind)| {
        names.iter().map(move |name| Column {
            name: (*name).to_owned(),
            field: (*name).to_owned(),
            kind,
        })
    });
    RowSchema { columns: columns.collect(), date_key: Some("date".to_owned()) }
}

const PRICES: &[&str] =
    &["open", "high", "low", "mid", "last", "close", "bid_price", "ask_price", "marketstack_last"];

fn object() -> Result<(LandingKey, Vec<u8>), Box<dyn std::error::Error>> {
    let mut raw = Vec::new();
    for row in 0..ROWS {
        let cents = 10_000 + row * 7919 % 50_000;
        let prices: Vec<_> = PRICES
            .iter()
            .map(|name| format!("\"{name}\":{}.{:02}", cents / 100, cents % 100))
            .collect();
        let second = row % 60;
        raw.extend_from_slice(format!("{{\"_offset\":{row},\"_key\":\"AAPL\",\"_ts\":\"2026-01-05T14:30:00.000000Z\",\"_headers\":{{\"source\":\"marketstack-v2\",\"fetch_id\":\"12\",\"page\":\"0\",\"row\":\"{row}\",\"interval\":\"1min\",\"ts_fetched\":\"2026-01-05T14:30:00.250000Z\"}},\"data\":{{{},\"volume\":{row}.0,\"date\":\"2026-01-05T14:30:{second:02}+0000\",\"symbol\":\"AAPL\",\"exchange\":\"IEXG\"}}}}\n", prices.join(",")).as_bytes());
    }
    let sha256: String = Sha256::digest(&raw).iter().map(|byte| format!("{byte:02x}")).collect();
    let footer = Footer { first: 0, next: ROWS, count: ROWS, sha256, last_record_crc: 0 };
    raw.extend_from_slice(footer.to_line().as_bytes());
    let key = LandingKey {
        generation: 0,
        topic: "intraday".to_owned(),
        partition: 0,
        first_offset: 0,
        kind: LandingKind::Records,
    };
    Ok((key, zstd::bulk::compress(&raw, 1)?))
}

/// The same rows as lines of JSON and of CSV.
fn files() -> (Vec<u8>, Vec<u8>) {
    let (mut json, mut csv) = (Vec::new(), Vec::new());
    let header = format!("{},volume,date,symbol,exchange\n", PRICES.join(","));
    csv.extend_from_slice(header.as_bytes());
    for row in 0..ROWS {
        let cents = 10_000 + row * 7919 % 50_000;
        let price = format!("{}.{:02}", cents / 100, cents % 100);
        let date = format!("2026-01-05T14:30:{:02}+0000", row % 60);
        let members: Vec<_> = PRICES.iter().map(|name| format!("\"{name}\":{price}")).collect();
        let members = members.join(",");
        json.extend_from_slice(format!("{{{members},\"volume\":{row}.0,\"date\":\"{date}\",\"symbol\":\"AAPL\",\"exchange\":\"IEXG\"}}\n").as_bytes());
        let prices = vec![price.as_str(); PRICES.len()].join(",");
        csv.extend_from_slice(format!("{prices},{row}.0,{date},AAPL,IEXG\n").as_bytes());
    }
    (json, csv)
}
