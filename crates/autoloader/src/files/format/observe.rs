//! What a file holds, seen without columns: what a schema is inferred from.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::{FileProblem, OpenFile, ReadTimes, open_file};
use crate::files::{
    decoded::{Decoded, ReadSchema},
    options::Format,
    schema::{FileObservation, Observed},
    source_file::SourceFile,
};

/// Observes a file as its bytes come: reads it into no columns, so that every field is unknown.
#[derive(Debug)]
pub struct Observer {
    file: OpenFile,
    seen: FileObservation,
}

/// Opens `file` to observe what it holds.
///
/// # Errors
/// As [`open_file`].
pub fn observe(
    format: &Format,
    file: &SourceFile,
    is_case_sensitive: bool,
    times: Arc<dyn ReadTimes>,
) -> Result<Observer, FileProblem> {
    // A document in one column is not looked into: it is that column.
    let mut format = format.clone();
    if let Format::Json(options) = &mut format {
        options.single_column = None;
    }
    let seen = FileObservation::nothing(file);
    let schema = Arc::new(ReadSchema::without_columns(is_case_sensitive));
    let file = open_file(&format, file, schema, times)?;
    Ok(Observer { file, seen })
}

impl Observer {
    /// Observes the next bytes.
    ///
    /// # Errors
    /// As [`OpenFile::push`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FileProblem> {
        let Self { file, seen } = self;
        file.push(bytes, &mut |decoded| note(seen, decoded))?;
        seen.order = file.fields().cloned();
        Ok(())
    }

    /// Whether the file said its columns and their types, so that nothing more is to be seen.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        self.seen.order.is_some()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As [`OpenFile::finish`].
    pub fn finish(&mut self) -> Result<(), FileProblem> {
        let Self { file, seen } = self;
        file.finish(&mut |decoded| note(seen, decoded))?;
        let names = file.header();
        if !names.is_empty() {
            // A column without a value is one all the same.
            let columns = names.iter().map(|name| (name.clone(), Observed::Nothing));
            seen.observed.merge(Observed::Object(columns.collect()));
            let field = |name: &String| Field::new(name, DataType::Utf8, true);
            seen.order = Some(names.iter().map(field).collect());
        }
        Ok(())
    }

    /// Returns what was seen.
    #[must_use]
    pub fn seen(self) -> FileObservation {
        self.seen
    }
}

fn note(seen: &mut FileObservation, decoded: Decoded) -> Result<(), FileProblem> {
    seen.observed.merge(decoded.unknown);
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::files::{
        options::{CsvOptions, JsonOptions, SchemaOptions},
        schema::{Iso, field_text, infer},
    };

    /// Returns the columns that a file of `text` alone makes.
    fn columns(format: &Format, text: &str) -> String {
        let file = SourceFile {
            path: "a".to_owned(),
            size: 1,
            modified: DateTime::UNIX_EPOCH,
            etag: Some("7".to_owned()),
            version: None,
        };
        let mut observer = observe(format, &file, true, Arc::new(Iso)).expect("opens");
        // Cut in the midst of whatever stands there.
        for piece in text.as_bytes().chunks(3) {
            observer.push(piece).expect("reads");
        }
        observer.finish().expect("ends");
        let seen = observer.seen();
        assert_eq!((seen.file.path.as_str(), seen.file.etag.as_deref()), ("a", Some("7")));
        let options = SchemaOptions { infers_types: true, ..SchemaOptions::default() };
        let columns = match infer(&[seen], format, &options) {
            Ok(schema) => schema.columns,
            Err(error) => return error.to_string(),
        };
        columns.iter().map(|column| field_text(column)).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn words_for_no_finite_number_are_numbers_unless_they_are_quoted() {
        for (name, text, expected) in [
            (
                "a word",
                "{\"a\":1.5,\"b\":{\"c\":[NaN]}}\n{\"a\":-Infinity}",
                "a DOUBLE,b STRUCT<c: ARRAY<DOUBLE>>",
            ),
            ("a string", "{\"a\":1.5}\n{\"a\":\"NaN\"}", "a STRING"),
            ("a string after a word", "{\"a\":NaN}\n{\"b\":\"NaN\"}", "a DOUBLE,b STRING"),
        ] {
            for is_multi_line in [false, true] {
                let options = JsonOptions { is_multi_line, ..JsonOptions::default() };
                assert_eq!(columns(&Format::Json(options), text), expected, "{name}: {text:?}");
            }
        }
    }

    #[test]
    fn a_separated_file_has_the_columns_that_it_names_or_counts() {
        const ELEVEN: &str = "1,2,3,4,5,6,7,8,9,10,11";
        let eleven = (0..11).map(|at| format!("_c{at} BIGINT")).collect::<Vec<_>>().join(",");
        for (name, has_header, text, expected) in [
            ("in the header's order", true, "b,a\n1,x\n", "b BIGINT,a STRING"),
            ("null everywhere", true, "a,b\n1,", "a BIGINT,b STRING"),
            ("nothing but a header", true, "b,a\n", "b STRING,a STRING"),
            ("a record has more", true, "a\n1,2\n", "a BIGINT,_c1 BIGINT"),
            (
                "no finite number",
                true,
                "a,b,c\n1.5,-Inf,NaN\nNaN,Inf,x",
                "a DOUBLE,b DOUBLE,c STRING",
            ),
            ("no header", false, ELEVEN, eleven.as_str()),
            ("no header, null everywhere", false, "1,\n2,\n", "_c0 BIGINT,_c1 STRING"),
            (
                "no header, a later record has more",
                false,
                "1\n1,,3",
                "_c0 BIGINT,_c1 STRING,_c2 BIGINT",
            ),
        ] {
            let format = Format::Csv(CsvOptions { has_header, ..CsvOptions::default() });
            assert_eq!(columns(&format, text), expected, "{name}: {text:?}");
        }
    }
}
