//! An input as a user's options and the bytes of a file: `name=value` lines, an empty one, the rest.

use std::{sync::Arc, sync::LazyLock};

use arrow::datatypes::{Schema, SchemaRef};
use autoloader::files::{
    LoadOptions, ReadSchema, SourceFile,
    schema::{given, parse_fields},
};
use chrono::DateTime;

/// Most options that are looked at; there are not many more.
const OPTIONS_MAX: usize = 64;

/// Columns of files whose options give none: one of each kind that readers treat in its own way.
static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let columns = "a BIGINT, b STRING, c DECIMAL(18,6), d ARRAY<BIGINT>, e MAP<STRING, BIGINT>, \
         f STRUCT<x: BIGINT, y: STRING>, g DOUBLE, h DATE, i TIMESTAMP, j BOOLEAN, k BINARY, \
         l TIMESTAMP_NTZ, m INT, n FLOAT, _c0 STRING, _c1 BIGINT, value STRING, \
         content BINARY, length BIGINT, path STRING";
    Arc::new(Schema::new(parse_fields(columns).expect("these are columns")))
});

/// What an input says.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    pub(crate) options: LoadOptions,
    pub(crate) body: &'a [u8],
}

impl<'a> Said<'a> {
    /// Splits an input; options that are wrong are left out, so that most inputs say something.
    pub(crate) fn parse(input: &'a [u8]) -> Option<Self> {
        let at = input.windows(2).position(|pair| pair == b"\n\n")?;
        let (head, body) = input.split_at(at);
        let mut pairs = pairs(&String::from_utf8_lossy(head));
        let options = match LoadOptions::parse(pairs.clone()) {
            Ok(options) => options,
            Err(problems) => {
                pairs.retain(|(name, _)| {
                    !problems.0.iter().any(|problem| name.eq_ignore_ascii_case(&problem.option))
                });
                LoadOptions::parse(pairs).ok()?
            }
        };
        Some(Self { options, body: body.get(2..)? })
    }

    /// Returns what a reader of the file has to fill.
    pub(crate) fn read_schema(&self) -> Option<ReadSchema> {
        let columns = self.options.schema.given.as_ref().unwrap_or(&COLUMNS);
        let version =
            given(columns, std::iter::empty(), &self.options.format, &self.options.schema).ok()?;
        Some(version.read_schema(&self.options.schema))
    }
}

/// Returns `name=value` lines as pairs.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.split('\n').filter_map(pair).take(OPTIONS_MAX).collect()
}

/// Returns a file of so many bytes.
pub(crate) fn file(path: &str, bytes: &[u8]) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        size: bytes.len() as u64,
        modified: DateTime::UNIX_EPOCH,
        etag: None,
        version: None,
    }
}

/// Cuts bytes into pieces of one to sixteen bytes, at places that the bytes themselves decide.
pub(crate) fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut state = bytes.len() as u64;
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        // A step of a linear congruential generator: its upper bits are as good as random.
        let first = u64::from(bytes[0]);
        state = (state ^ first).wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let size = usize::try_from(state >> 60).unwrap_or_default() + 1;
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        bytes = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use autoloader::files::options::Format;

    use super::*;

    #[test]
    fn an_input_is_options_and_a_file() {
        for (name, input, format, body) in [
            ("all of it", "format=csv\nheader=true\n\na,b\n", Some("csv"), "a,b\n"),
            ("a wrong value is left out", "format=csv\nheader=x\n\n1", Some("csv"), "1"),
            ("the file has empty lines", "format=json\n\n\n\n{}", Some("json"), "\n\n{}"),
            ("no format", "header=true\n\na", None, ""),
            ("no file", "format=json\n", None, ""),
        ] {
            let said = Said::parse(input.as_bytes());
            let found = said.as_ref().map(|said| said.options.format.name().name());
            assert_eq!(found, format, "{name}");
            assert_eq!(said.map_or(&b""[..], |said| said.body), body.as_bytes(), "{name}");
        }
    }

    #[test]
    fn wrong_options_do_not_hide_right_ones() {
        let said = Said::parse(b"format=csv\nsep=;\nheader=x\n\n1").expect("says something");
        let Format::Csv(csv) = said.options.format else { unreachable!("it is CSV") };
        assert_eq!(csv.separator, ";");
    }

    #[test]
    fn pieces_are_the_whole() {
        for size in [0, 1, 2, 16, 17, 1000] {
            let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
            assert_eq!(pieces(&bytes).collect::<Vec<_>>().concat(), bytes, "{size} bytes");
        }
    }
}
