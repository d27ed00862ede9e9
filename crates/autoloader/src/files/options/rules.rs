//! Options that contradict each other, one rule for each contradiction.

use std::{collections::BTreeSet, time::Duration};

use super::{
    EvolutionMode, Overwrites, PartitionColumns, SchemaHint,
    draft::{CleanWord, Draft},
    registry::FormatName,
};
use crate::files::schema::{folded, is_same_name};

/// Deleting sooner than this after loading is refused, as in Auto Loader: an error in the rows is
/// found by then.
pub(crate) const DELETE_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whether an option was given.
type IsTold<'t> = &'t dyn Fn(&str) -> bool;

/// A contradiction.
struct Rule {
    /// The options it is about; the problem is told of the first.
    options: &'static [&'static str],
    is_broken: fn(&Draft, IsTold<'_>) -> bool,
    problem: &'static str,
}

/// Returns the problems of all rules that are broken, but for those of options whose own value is
/// none already.
pub(super) fn broken<'d>(
    draft: &'d Draft,
    is_told: IsTold<'d>,
    failed: &'d BTreeSet<&'static str>,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES
        .iter()
        .filter(|rule| !rule.options.iter().any(|option| failed.contains(option)))
        .filter(|rule| (rule.is_broken)(draft, is_told))
        .filter_map(|rule| Some((*rule.options.first()?, rule.problem)))
}

const fn rule(
    options: &'static [&'static str],
    is_broken: fn(&Draft, IsTold<'_>) -> bool,
    problem: &'static str,
) -> Rule {
    Rule { options, is_broken, problem }
}

const RULES: &[Rule] = &[
    // Columns.
    rule(
        &["schemaEvolutionMode", "schema"],
        |draft, _| {
            draft.schema.given.is_some()
                && matches!(
                    draft.evolution_mode(),
                    EvolutionMode::AddNewColumns
                        | EvolutionMode::AddNewColumnsWithTypeWidening
                        | EvolutionMode::Evolve
                )
        },
        "a given schema does not grow; give its columns as `schemaHints` instead of `schema`, or \
         choose rescue, failOnNewColumns or none",
    ),
    rule(
        &["schemaEvolutionMode", "schema", "rescuedDataColumn"],
        |draft, _| {
            draft.schema.given.is_some()
                && draft.evolution == Some(EvolutionMode::Rescue)
                && draft.rescued_name().is_none()
        },
        "with a given schema, rescue needs a `rescuedDataColumn`",
    ),
    rule(
        &["schemaHints", "schema"],
        |draft, is_told| draft.schema.given.is_some() && is_told("schemaHints"),
        "hints are for schemas that are inferred; change `schema` itself",
    ),
    rule(
        &["inferColumnTypes", "schema"],
        |draft, _| draft.schema.given.is_some() && draft.schema.infers_types,
        "nothing is inferred when `schema` is given",
    ),
    rule(
        &["inferTimestamp", "inferColumnTypes"],
        |draft, _| draft.schema.infers_timestamps && !draft.schema.infers_types,
        "it needs `inferColumnTypes` = true",
    ),
    rule(
        &["prefersDecimal", "inferColumnTypes"],
        |draft, is_told| {
            is_told("prefersDecimal") && draft.schema.prefers_decimal && !draft.schema.infers_types
        },
        "it needs `inferColumnTypes` = true",
    ),
    rule(
        &["preferDate", "inferColumnTypes"],
        |draft, is_told| {
            is_told("preferDate") && draft.csv.prefers_date && !draft.schema.infers_types
        },
        "it needs `inferColumnTypes` = true",
    ),
    rule(
        &["singleVariantColumn"],
        |draft, is_told| {
            let others = ["schema", "schemaHints", "inferColumnTypes", "rescuedDataColumn"];
            draft.json.single_column.is_some()
                && (others.into_iter().any(is_told)
                    || !matches!(draft.evolution, None | Some(EvolutionMode::None)))
        },
        "it takes documents whole, so there are no columns to give, infer, rescue or add; leave \
         those options out",
    ),
    rule(
        &["partitionColumns", "schema"],
        |draft, _| match (&draft.schema.given, &draft.schema.partition_columns) {
            (Some(schema), PartitionColumns::Named(names)) => {
                names.iter().any(|name| !has_name(schema.fields().iter().map(|f| f.name()), name))
            }
            _ => false,
        },
        "a given schema has to have them all; add them to `schema`, or leave some out",
    ),
    rule(
        &["schema", "rescuedDataColumn", "metadataColumn"],
        |draft, _| {
            let own = [draft.rescued_name(), draft.schema.metadata_column.clone()];
            draft.schema.given.as_ref().is_some_and(|schema| {
                own.iter()
                    .flatten()
                    .any(|own| has_name(schema.fields().iter().map(|f| f.name()), own))
            })
        },
        "it has a column that the loader fills itself; give `rescuedDataColumn` or \
         `metadataColumn` another name",
    ),
    rule(
        &["rescuedDataColumn", "metadataColumn", "singleVariantColumn"],
        |draft, _| {
            let names = [
                draft.rescued_name(),
                draft.schema.metadata_column.clone(),
                draft.json.single_column.clone(),
            ];
            let names: Vec<String> = names.into_iter().flatten().map(|n| folded(&n)).collect();
            names.iter().collect::<BTreeSet<_>>().len() < names.len()
        },
        "the rescued data, the metadata and the single column need different names",
    ),
    // Formats.
    rule(
        &["rows", "multiLine"],
        |draft, is_told| draft.json.rows.is_some() && is_told("multiLine") && !draft.is_multi_line,
        "it reads whole documents; leave `multiLine` out",
    ),
    rule(
        &["encoding", "multiLine", "rows"],
        |draft, _| {
            draft.format == Some(FormatName::Json)
                && draft.has_documents()
                && !draft.text.encoding.is_ascii_compatible()
        },
        "UTF-16, like all that writes ASCII in another way, is read by lines only; leave out \
         `multiLine` and `rows`, or turn the files into UTF-8",
    ),
    rule(
        &["lineSep", "wholeText"],
        |draft, _| draft.is_whole_text && draft.line_sep.is_some(),
        "with `wholeText` no line ends; leave one of them out",
    ),
    rule(
        &["sep"],
        |draft, _| {
            draft.csv.separator.is_empty() || draft.csv.separator.contains(['\n', '\r', '\0'])
        },
        "it has to be at least one letter, and no line end",
    ),
    rule(
        &["sep", "quote", "comment"],
        |draft, _| {
            let marks = [draft.csv.quote, draft.csv.comment];
            marks.into_iter().flatten().any(|mark| draft.csv.separator.starts_with(mark))
        },
        "values cannot be told apart when it begins like `quote` or `comment`",
    ),
    rule(
        &["comment", "quote"],
        |draft, _| draft.csv.comment.is_some() && draft.csv.comment == draft.csv.quote,
        "it has to be another letter than `quote`",
    ),
    rule(
        &["header", "schemaHints", "partitionColumns", "schema"],
        |draft, _| {
            !draft.csv.has_header
                && draft.schema.given.is_none()
                && draft.schema.hints.iter().any(|hint| !draft.has_place(hint))
        },
        "without a header the columns are _c0, _c1, …; give hints for those names, or name all \
         columns with `schema`",
    ),
    // Discovery.
    rule(
        &["modifiedAfter", "modifiedBefore", "timeZone"],
        |draft, _| {
            let limits = (draft.moment(draft.modified_after), draft.moment(draft.modified_before));
            matches!(limits, (Some(after), Some(before)) if before <= after)
        },
        "no file is later than this and earlier than `modifiedBefore`",
    ),
    rule(
        &["useNotifications", "queueUrl", "queueName"],
        |draft, _| {
            draft.notifies == Some(false)
                && (draft.queue_url.is_some() || draft.queue_name.is_some())
        },
        "a queue is given; leave it out, or set this to true",
    ),
    rule(
        &["queueUrl", "queueName"],
        |draft, _| draft.queue_url.is_some() && draft.queue_name.is_some(),
        "a source has events in one queue; leave this or `queueName` out",
    ),
    rule(
        &["listingWindow", "useNotifications", "queueUrl", "queueName"],
        |draft, _| {
            draft.discovery.window.is_some()
                && (draft.notifies == Some(true)
                    || draft.queue_url.is_some()
                    || draft.queue_name.is_some())
        },
        "notifications say where to look already; leave one of them out and set `backfillInterval`",
    ),
    // What becomes of files.
    rule(
        &["overwrites", "allowOverwrites"],
        |draft, _| match (draft.overwrites, draft.allows_overwrites) {
            (Some(Overwrites::Append | Overwrites::Replace), Some(allowed)) => !allowed,
            (Some(_), Some(allowed)) => allowed,
            _ => false,
        },
        "`allowOverwrites` says the opposite; leave that out",
    ),
    rule(
        &["overwrites", "metadataColumn"],
        |draft, _| {
            draft.overwrites == Some(Overwrites::Replace) && draft.schema.metadata_column.is_none()
        },
        "without a `metadataColumn` nobody knows which rows a file brought, so none are replaced",
    ),
    rule(
        &["cleanSource.retentionDuration", "cleanSource"],
        |draft, is_told| draft.clean == CleanWord::Off && is_told("cleanSource.retentionDuration"),
        "it needs `cleanSource` = DELETE or MOVE",
    ),
    rule(
        &["cleanSource.retentionDuration", "cleanSource"],
        |draft, _| draft.clean == CleanWord::Delete && draft.retention <= DELETE_AFTER,
        "with DELETE it has to be more than 7 days: what is deleted cannot be loaded again",
    ),
    rule(
        &["cleanSource.moveDestination", "cleanSource"],
        |draft, _| draft.clean != CleanWord::Move && draft.move_destination.is_some(),
        "it needs `cleanSource` = MOVE",
    ),
    rule(
        &["cleanSource", "cleanSource.moveDestination"],
        |draft, _| draft.clean == CleanWord::Move && draft.move_destination.is_none(),
        "MOVE needs a `cleanSource.moveDestination`",
    ),
];

impl Draft {
    /// Whether a CSV file without a header, or its path, has what the hint names.
    fn has_place(&self, hint: &SchemaHint) -> bool {
        let Some(name) = hint.path.first() else { return true };
        let is_numbered =
            name.strip_prefix("_c").is_some_and(|number| number.parse::<u32>().is_ok());
        let is_in_path = match &self.schema.partition_columns {
            PartitionColumns::Named(names) => has_name(names.iter(), name),
            PartitionColumns::Inferred => false,
        };
        is_numbered || is_in_path
    }
}

/// Whether a name is among others, in any case, as tables compare them.
fn has_name<'n>(mut names: impl Iterator<Item = &'n String>, name: &str) -> bool {
    names.any(|known| is_same_name(known, name))
}
