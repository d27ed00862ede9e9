//! The gate: what passes, what is refused, and as what.

use super::*;

pub(super) fn judged(text: &str) -> Result<Command, Failure> {
    let mut statements = split(text)?;
    assert_eq!(statements.len(), 1, "{text}");
    judge(statements.remove(0))
}

#[track_caller]
pub(super) fn refused(text: &str, code: &str) {
    match judged(text) {
        Ok(command) => panic!("{text} passed as {command:?}"),
        Err(failure) => assert_eq!(failure.code, code, "{text}: {}", failure.message),
    }
}

#[test]
fn queries_pass() {
    for text in [
        "select 1",
        "SELECT * FROM gold.bar_1m WHERE symbol = 'DROP TABLE x'",
        "with x as (select 1) select * from x",
        "values (1), (2)",
        "(select 1) union all (select 2)",
        "table gold.bar_1m",
    ] {
        assert!(matches!(judged(text), Ok(Command::Query(_))), "{text}: {:?}", judged(text));
    }
    assert!(matches!(judged("explain verbose select 1"), Ok(Command::Explain(_))));
    assert!(matches!(judged("explain (costs off) select 1"), Ok(Command::Explain(_))));
}

#[test]
fn everything_that_writes_is_refused_as_read_only() {
    for text in [
        "insert into gold.bar_1m values (1)",
        "update gold.bar_1m set close = 1",
        "delete from gold.bar_1m",
        "truncate gold.bar_1m",
        "create table t (a int)",
        "create external table t (a int) stored as csv location 'file:///etc/passwd'",
        "create or replace view v as select 1",
        "drop table gold.bar_1m",
        "alter table gold.bar_1m add column x int",
        "with x as (insert into t values (1) returning *) select * from x",
        "select * into t from gold.bar_1m",
        "select * from gold.bar_1m for update",
        "copy gold.bar_1m from '/tmp/x'",
        "begin read write",
        "set transaction read write",
        "explain insert into t values (1)",
    ] {
        refused(text, "25006");
    }
}

#[test]
fn files_programs_and_roles_are_out_of_reach() {
    refused("copy (select 1) to '/tmp/x'", "42501");
    refused("copy gold.bar_1m to program 'sh'", "42501");
    refused("set role postgres", "42501");
    refused("set session authorization postgres", "42501");
    refused("prepare x as insert into t values (1)", "0A000");
    refused("do $$ begin end $$", "0A000");
    refused("explain analyze select 1", "0A000");
    refused("explain (analyze) select 1", "0A000");
}

#[test]
fn nonsense_is_a_syntax_error() {
    for text in ["selec 1", "select * form x", "select 1 1 1", "select 'open", "set x"] {
        match split(text).and_then(|mut all| judge(all.remove(0))) {
            Err(failure) => assert_eq!(failure.code, "42601", "{text}"),
            Ok(command) => panic!("{text} passed as {command:?}"),
        }
    }
    refused_text(&"x".repeat(TEXT_BYTES_MAX + 1), "54000");
}

#[track_caller]
fn refused_text(text: &str, code: &str) {
    assert_eq!(split(text).unwrap_err().code, code);
}

#[test]
fn connection_commands_are_understood() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = format!("{:?}", judged(text).unwrap());
        assert_eq!(shown, expected, "{text}");
    }
    check("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED", "Begin");
    check("start transaction read only", "Begin");
    check("commit", "Commit");
    check("rollback to savepoint a", "Savepoint { tag: \"ROLLBACK\" }");
    check("abort", "Rollback");
    check(
        "set search_path to silver, gold",
        r#"Set { name: "search_path", value: Some("silver, gold") }"#,
    );
    check(
        "SET LOCAL DateStyle = 'ISO, MDY'",
        r#"Set { name: "datestyle", value: Some("ISO,  MDY") }"#,
    );
    check("set time zone 'UTC'", r#"Set { name: "timezone", value: Some("UTC") }"#);
    check("set statement_timeout = default", r#"Set { name: "statement_timeout", value: None }"#);
    check(
        "SET datafusion.runtime.memory_limit = '1T'",
        r#"Set { name: "datafusion.runtime.memory_limit", value: Some("1T") }"#,
    );
    check("show transaction isolation level", r#"Show { name: "transaction_isolation" }"#);
    check("SHOW Server_Version", r#"Show { name: "server_version" }"#);
    check("reset all", "Reset { name: None }");
    check("discard all", r#"Discard { tag: "DISCARD ALL" }"#);
    check("close all", "Close { name: None }");
    check("close \"A b\"", r#"Close { name: Some("A b") }"#);
    check("deallocate prepare all", "Deallocate { name: None }");
    check("unlisten *", "Unlisten");
    check("set session authorization default", "SetNothing");
}

/// What asks about the catalog costs a look at every table.
#[test]
fn only_questions_about_the_catalog_touch_it() {
    let touches = |text: &str| touches_catalog(&split(text).unwrap()[0]);
    for text in [
        "select * from pg_class",
        "select table_name from information_schema.tables",
        "select format ('%s', 1)",
        "select 'a'::regclass",
    ] {
        assert!(touches(text), "{text}");
    }
    for text in ["copy (select 1) to stdout (format binary)", "select format from t", "select 1"] {
        assert!(!touches(text), "{text}");
    }
}

#[test]
fn a_text_is_cut_at_semicolons_that_are_not_quoted() {
    let cut = |text| split(text).unwrap().len();
    assert_eq!(cut(""), 0);
    assert_eq!(cut(" ;; -- nothing\n;"), 0);
    assert_eq!(cut("select ';'; select \"a;b\"; /* ; */ select $$;$$"), 3);
    assert!(split(&";select 1".repeat(STATEMENTS_MAX + 1)).is_err());
}
