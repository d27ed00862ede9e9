//! The header `delta-sharing-capabilities`: in which of its two formats a client wants answers.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const CAPABILITIES: HeaderName = HeaderName::from_static("delta-sharing-capabilities");

/// How tables and files are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The protocol's own objects, which every client knows.
    Parquet,
    /// Actions of Delta's log.
    Delta,
}

/// The format of an answer, and whether the client asked for one at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub(super) format: Format,
    is_asked: bool,
}

impl Negotiated {
    /// Decides on a format. Our tables need none of Delta's newer features, so who takes both gets
    /// parquet, as who says nothing has to.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get_all(CAPABILITIES).iter().filter_map(|value| value.to_str().ok());
        let wanted: Vec<String> = given
            .flat_map(|value| value.split(';'))
            .filter_map(|capability| capability.split_once('='))
            .filter(|(key, _)| key.trim().eq_ignore_ascii_case("responseformat"))
            .flat_map(|(_, formats)| formats.split(','))
            .map(|format| format.trim().to_ascii_lowercase())
            .collect();
        let has = |format: &str| wanted.iter().any(|wanted| wanted == format);
        let format = if has("delta") && !has("parquet") { Format::Delta } else { Format::Parquet };
        Self { format, is_asked: headers.contains_key(CAPABILITIES) }
    }

    /// Returns the header that tells the client, if it asked.
    pub(super) fn header(self) -> Option<(HeaderName, HeaderValue)> {
        let value = match self.format {
            Format::Parquet => "responseformat=parquet",
            Format::Delta => "responseformat=delta",
        };
        self.is_asked.then(|| (CAPABILITIES, HeaderValue::from_static(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: Option<&'static str>, expected: Format) {
        let mut headers = HeaderMap::new();
        headers.extend(header.map(|value| (CAPABILITIES, HeaderValue::from_static(value))));
        let negotiated = Negotiated::of(&headers);
        assert_eq!(negotiated.format, expected, "{header:?}");
        assert_eq!(negotiated.header().is_some(), header.is_some(), "{header:?}");
    }

    #[test]
    fn delta_is_for_those_who_take_nothing_else() {
        check(None, Format::Parquet);
        check(Some("responseformat=delta"), Format::Delta);
        check(Some("ResponseFormat = Delta; readerfeatures=deletionvectors"), Format::Delta);
        check(Some("responseformat=delta,parquet;readerfeatures=columnmapping"), Format::Parquet);
        check(Some("responseformat=parquet"), Format::Parquet);
        check(Some("responseformat=avro"), Format::Parquet);
        check(Some("delta"), Format::Parquet);
        check(Some(""), Format::Parquet);
    }
}
