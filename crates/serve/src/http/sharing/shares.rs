//! What a share consists of: which tables, by layer and name.

use std::collections::BTreeMap;

use super::access::is_name;

/// A share: a name, and the tables behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its name.
    pub name: String,
    /// Its tables by schema, both sorted.
    schemas: BTreeMap<String, Vec<String>>,
}

/// Why a text describes no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShare {
    /// Its name could not stand in an address.
    #[error("a share's name must be 1 to 64 letters, digits, `_`, `-`")]
    Name,
    /// It names what is no table.
    #[error("`{0}` is no table and no schema; write for example \"gold, silver.eod\"")]
    Table(String),
}

impl Share {
    /// Reads a list of schemas and tables such as `gold, silver.eod`, of those that are `known`.
    ///
    /// # Errors
    /// The name, or one of the tables, cannot be used.
    pub fn parse(name: &str, text: &str, known: &[String]) -> Result<Self, InvalidShare> {
        if !is_name(name) {
            return Err(InvalidShare::Name);
        }
        let mut schemas: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for wanted in text.split(',').map(str::trim).filter(|wanted| !wanted.is_empty()) {
            let schema = wanted.strip_suffix(".*").unwrap_or(wanted);
            let mut is_known = false;
            for (layer, table) in known.iter().filter_map(|table| table.split_once('.')) {
                if layer == schema || wanted.split_once('.') == Some((layer, table)) {
                    schemas.entry(layer.to_owned()).or_default().push(table.to_owned());
                    is_known = true;
                }
            }
            if !is_known {
                return Err(InvalidShare::Table(wanted.to_owned()));
            }
        }
        for tables in schemas.values_mut() {
            tables.sort();
            tables.dedup();
        }
        Ok(Self { name: name.to_owned(), schemas })
    }

    /// Returns whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty()
    }

    pub(super) fn schemas(&self) -> impl Iterator<Item = &str> {
        self.schemas.keys().map(String::as_str)
    }

    /// Returns the tables of a schema, and the schema as it is written.
    pub(super) fn schema(&self, name: &str) -> Option<(&str, &[String])> {
        let found = self.schemas.iter().find(|(schema, _)| schema.eq_ignore_ascii_case(name))?;
        Some((found.0, found.1))
    }

    /// Returns layer and name of a table, such as `gold.bar_1m`.
    pub(super) fn table(&self, schema: &str, name: &str) -> Option<String> {
        let (schema, tables) = self.schema(schema)?;
        let table = tables.iter().find(|table| table.eq_ignore_ascii_case(name))?;
        Some(format!("{schema}.{table}"))
    }

    /// Returns every table with its schema.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.schemas.iter().flat_map(|(schema, tables)| {
            tables.iter().map(move |table| (schema.as_str(), table.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(&str, &str)], InvalidShare>) {
        let known = ["gold.bar_1d", "gold.eod", "silver.bar", "silver.eod"].map(str::to_owned);
        let share = Share::parse("market", text, &known);
        let found = share.as_ref().map(|share| share.tables().collect::<Vec<_>>());
        assert_eq!(found, expected.as_ref().map(|tables| tables.to_vec()), "{text}");
    }

    #[test]
    fn a_share_is_a_list_of_schemas_and_tables() {
        let gold = [("gold", "bar_1d"), ("gold", "eod")];
        check("gold", Ok(&gold));
        check("gold.*", Ok(&gold));
        check(" gold.eod , gold, gold.eod ", Ok(&gold));
        check("silver.eod, gold.eod", Ok(&[("gold", "eod"), ("silver", "eod")]));
        check("", Ok(&[]));
        for text in ["gold.bar_2d", "copper", "Gold", "gold.eod.x", "*"] {
            check(text, Err(InvalidShare::Table(text.to_owned())));
        }
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        let known = ["gold.bar_1d".to_owned()];
        let share = Share::parse("market", "gold", &known).unwrap();
        assert_eq!(share.table("GOLD", "Bar_1D").as_deref(), Some("gold.bar_1d"));
        assert_eq!(share.table("silver", "bar_1d"), None);
        assert_eq!(share.table("gold", "bar"), None);
        for name in ["", "a b", "a/b", "a.b", "ä"] {
            assert_eq!(Share::parse(name, "gold", &known), Err(InvalidShare::Name), "{name}");
        }
    }
}
