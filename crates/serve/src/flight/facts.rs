//! What this server is and can do, for tools that ask before they write SQL (GetSqlInfo).

use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedTransaction, SqlTransactionIsolationLevel,
    metadata::{SqlInfoData, SqlInfoDataBuilder},
};
use tonic::Status;

use super::{listing::failed, statements::PREPARED_IDLE_MAX};
use crate::{
    http::RELEASE,
    postgres::arrow::{COLUMNS_MAX, TEXT_BYTES_MAX},
};

/// The version of Arrow's columns and messages, not of the library.
const ARROW_FORMAT: &str = "1.5";

const NUMERIC_FUNCTIONS: [&str; 23] = [
    "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cot", "degrees", "exp", "floor", "ln",
    "log", "log10", "pi", "power", "radians", "random", "round", "sin", "sqrt", "tan", "trunc",
];

const STRING_FUNCTIONS: [&str; 17] = [
    "ascii", "btrim", "chr", "concat", "initcap", "left", "lower", "lpad", "ltrim", "repeat",
    "replace", "right", "rpad", "rtrim", "strpos", "substr", "upper",
];

const DATETIME_FUNCTIONS: [&str; 7] =
    ["current_date", "current_time", "date_bin", "date_part", "date_trunc", "now", "to_char"];

/// The bit of each entry of an enumeration: what the protocol calls a bitmask.
fn bits(entries: &[i32]) -> i32 {
    entries.iter().fold(0, |mask, entry| mask | (1 << entry))
}

/// The answer to GetSqlInfo.
pub(super) fn all() -> Result<SqlInfoData, Status> {
    let mut facts = SqlInfoDataBuilder::new();
    about_the_server(&mut facts);
    about_names(&mut facts);
    about_queries(&mut facts);
    about_what_is_not(&mut facts);
    facts.build().map_err(failed)
}

fn about_the_server(facts: &mut SqlInfoDataBuilder) {
    facts.append(SqlInfo::FlightSqlServerName, "marketlake");
    facts.append(SqlInfo::FlightSqlServerVersion, RELEASE);
    facts.append(SqlInfo::FlightSqlServerArrowVersion, ARROW_FORMAT);
    facts.append(SqlInfo::FlightSqlServerReadOnly, true);
    facts.append(SqlInfo::FlightSqlServerSql, true);
    facts.append(SqlInfo::FlightSqlServerSubstrait, false);
    facts.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    facts.append(SqlInfo::FlightSqlServerCancel, true);
    facts.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    let idle_max = i32::try_from(PREPARED_IDLE_MAX.as_millis()).unwrap_or(i32::MAX);
    facts.append(SqlInfo::FlightSqlServerStatementTimeout, idle_max);
    facts.append(SqlInfo::FlightSqlServerTransactionTimeout, 0);
}

fn about_names(facts: &mut SqlInfoDataBuilder) {
    // As in PostgreSQL: without quotes in lower case, with them as they stand. The protocol has no
    // word for the latter.
    let lower = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase;
    facts.append(SqlInfo::SqlIdentifierCase, lower as i32);
    facts.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    let unknown = SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown;
    facts.append(SqlInfo::SqlQuotedIdentifierCase, unknown as i32);
    facts.append(SqlInfo::SqlExtraNameCharacters, "");
    facts.append(SqlInfo::SqlSearchStringEscape, "\\");
    facts.append(SqlInfo::SqlSchemaTerm, "schema");
    facts.append(SqlInfo::SqlCatalogTerm, "database");
    facts.append(SqlInfo::SqlProcedureTerm, "function");
    facts.append(SqlInfo::SqlCatalogAtStart, true);
    facts.append(SqlInfo::SqlAllTablesAreSelectable, true);
}

fn about_queries(facts: &mut SqlInfoDataBuilder) {
    facts.append(SqlInfo::SqlNumericFunctions, &NUMERIC_FUNCTIONS[..]);
    facts.append(SqlInfo::SqlStringFunctions, &STRING_FUNCTIONS[..]);
    facts.append(SqlInfo::SqlDatetimeFunctions, &DATETIME_FUNCTIONS[..]);
    facts.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    facts.append(SqlInfo::SqlNullPlusNullIsNull, true);
    facts.append(SqlInfo::SqlSupportsColumnAliasing, true);
    facts.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    facts.append(SqlInfo::SqlSupportsDifferentTableCorrelationNames, false);
    facts.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    facts.append(SqlInfo::SqlSupportsOrderByUnrelated, true);
    // Unrelated to the list of columns, and beyond it.
    facts.append(SqlInfo::SqlSupportedGroupBy, bits(&[0, 1]));
    facts.append(SqlInfo::SqlSupportsLikeEscapeClause, true);
    // UNION and UNION ALL.
    facts.append(SqlInfo::SqlSupportedUnions, bits(&[0, 1]));
    // In comparisons, EXISTS and IN.
    facts.append(SqlInfo::SqlSupportedSubqueries, bits(&[0, 1, 2]));
    facts.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    let full = SqlOuterJoinsSupportLevel::SqlFullOuterJoins;
    facts.append(SqlInfo::SqlOuterJoinsSupportLevel, full as i32);
    facts.append(SqlInfo::SqlMaxStatementLength, i64::try_from(TEXT_BYTES_MAX).unwrap_or(0));
    facts.append(SqlInfo::SqlMaxColumnsInSelect, i64::try_from(COLUMNS_MAX).unwrap_or(0));
    facts.append(SqlInfo::SqlMaxUsernameLength, 63_i64);
}

fn about_what_is_not(facts: &mut SqlInfoDataBuilder) {
    for absent in [
        SqlInfo::SqlDdlCatalog,
        SqlInfo::SqlDdlSchema,
        SqlInfo::SqlDdlTable,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        facts.append(absent, false);
    }
    let none = SqlTransactionIsolationLevel::SqlTransactionNone as i32;
    facts.append(SqlInfo::SqlDefaultTransactionIsolation, none);
    facts.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, bits(&[none]));
    facts.append(SqlInfo::SqlSupportedPositionedCommands, 0);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::postgres::arrow::{Asking, Query};

    const ASKING: Asking<'static> =
        Asking { user: "ann", statement_timeout: Duration::from_secs(9) };

    async fn is_planned(text: &str) -> bool {
        let reader = lake::Reader::in_memory(Vec::new()).unwrap();
        Query::plan(&reader, text, ASKING).await.is_ok()
    }

    #[tokio::test]
    async fn every_function_that_is_named_is_there() {
        let all = NUMERIC_FUNCTIONS.iter().chain(&STRING_FUNCTIONS).chain(&DATETIME_FUNCTIONS);
        let reader = lake::Reader::in_memory(Vec::new()).unwrap();
        let state = reader.context().await.unwrap().state();
        for name in all {
            assert!(state.scalar_functions().contains_key(*name), "{name}");
        }
        assert!(all_is_built());
    }

    fn all_is_built() -> bool {
        all().unwrap().record_batch(None).unwrap().num_rows() > 50
    }

    #[tokio::test]
    async fn what_is_said_of_queries_holds() {
        for text in [
            "select a as b from (values (1)) t(a) order by a + 1",
            "select a from (values (1, 2)) t(a, b) order by b",
            "select count(*) from (values (1, 2)) t(a, b) group by b",
            "select 1 where 'a' like 'a~%' escape '~'",
            "select 1 union select 2 union all select 3",
            "select 1 where 1 = (select 1) and exists (select 1) and 1 in (select 1)",
            "select a from (values (1)) t(a) where exists (select 1 from (values (1)) u(b) where b = a)",
            "select * from (values (1)) t(a) full outer join (values (1)) u(b) on a = b",
        ] {
            assert!(is_planned(text).await, "{text}");
        }
        assert!(!is_planned("select 1 for update").await);
        assert!(!is_planned(&format!("select '{}'", "x".repeat(TEXT_BYTES_MAX))).await);
    }
}
