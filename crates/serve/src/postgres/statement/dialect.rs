//! PostgreSQL's grammar on a budget.
//!
//! The parser tries one reading of a text after another. Where a reading fails only deep inside,
//! each level around it is read twice, so that fifty levels would take longer than anybody lives.
//! The parser asks its dialect at every expression, which is where this one counts and stops it.

use std::{any::TypeId, cell::Cell};

use lake::datafusion::sql::sqlparser::{
    ast::Expr,
    dialect::{Dialect, PostgreSqlDialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
};

/// Expressions and SELECTs the parser may begin in one statement. The longest text has room for
/// 131,072 of them, a digit and a comma each; the rest is for what is read again.
const STEPS_MAX: u32 = 300_000;

/// PostgreSQL's dialect for one statement. What is not written here is as the trait has it, which
/// is what [`PostgreSqlDialect`] does; a test compares the two.
#[derive(Debug, Default)]
pub(super) struct GateDialect {
    steps: Cell<u32>,
}

impl GateDialect {
    fn step(&self) -> Result<(), ParserError> {
        self.steps.set(self.steps.get().saturating_add(1));
        if self.steps.get() > STEPS_MAX { Err(ParserError::RecursionLimitExceeded) } else { Ok(()) }
    }
}

/// Answers as PostgreSQL's dialect does.
macro_rules! as_in_postgresql {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> $answer {
            PostgreSqlDialect {}.$name($($argument),*)
        })*
    };
}

impl Dialect for GateDialect {
    /// The parser has exceptions for PostgreSQL by this number.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        self.step().err().map(Err)
    }

    /// Asked at every SELECT; an exhausted budget cannot be said here, only counted.
    fn supports_empty_projections(&self) -> bool {
        self.step().is_ok()
    }

    /// `f('name': value)`. The engine has no such function, and for its sake the parser would
    /// read every argument of every function twice, and twice again on each level of nesting.
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    as_in_postgresql! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        supports_unicode_string_literal() -> bool;
        is_reserved_for_identifier(kw: Keyword) -> bool;
        is_custom_operator_part(ch: char) -> bool;
        get_next_precedence(parser: &Parser<'_>) -> Option<Result<u8, ParserError>>;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        prec_value(prec: Precedence) -> u8;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(dialect: &dyn Dialect, text: &str) -> Result<String, ParserError> {
        let mut parser = Parser::new(dialect).try_with_sql(text)?;
        let statement = parser.parse_statement()?;
        parser.expect_token(&lake::datafusion::sql::sqlparser::tokenizer::Token::EOF)?;
        Ok(format!("{statement:?}"))
    }

    #[test]
    fn a_text_is_read_as_in_postgresql() {
        for text in [
            "select \"Ä\".x, ü$1 from \"Ä\" where a ~* 'b' and a !~~ 'c' and a @> b and a # b = 1",
            "select 1 !, a << 2, a && b, a ^@ b, a -> 'b', a #>> 'c', |/ 2, @ 1, !! 3, a ->> b::int",
            "select a collate \"C\", x at time zone 'UTC', a[1:2], a[1][2], a notnull, 1_000",
            "select E'\\n', U&'\\0041', $$x$$, X'1F', date '2026-01-02', interval '1' day",
            "select interval '1 day 2 hours', extract('dow' from a), extract(epoch from a)",
            "select trim(both 'x' from a), trim('x', 'y'), substring(a from 1 for 2)",
            "select count(*) filter (where a) over (partition by b order by c rows 1 preceding)",
            "select point '1,2', a <-> b, xmlconcat(a), xml '<a/>', array[1, 2], array(select 1)",
            "select a::int[], cast(a as numeric(10, 2)), -a ^ 2 * 3",
            "select a operator(pg_catalog.+) b, a is not distinct from b, not a in (1, 2)",
            "select * from a, lateral (select 1) b left join c using (d) where e = any (array[1])",
            "select a, b from t group by cube (a, b), rollup (a) having true order by 1 nulls first",
            "select /* outer /* inner */ */ 1 -- end",
            "select from t",
            "select * as x from t",
            "with recursive a (b) as materialized (select 1 union select b + 1 from a) table a",
            "values (1), (2) offset 1 fetch first row only",
            "set names 'utf8'",
            "listen a",
            "load 'x'",
            "comment on table a is 'b'",
            "create index i on t (a) with (fillfactor = 70)",
            "explain (analyze, verbose) select 1",
            "alter table t alter column a type int using b",
            "insert into t as a values (1)",
            "create table a (like b)",
            // Refused by both.
            "select `a`",
            "select",
            "select a b c",
        ] {
            let (ours, postgresql) = (GateDialect::default(), PostgreSqlDialect {});
            assert_eq!(parse(&ours, text), parse(&postgresql, text), "{text}");
        }
    }

    /// With the stack of the threads that serve clients.
    fn on_a_deep_stack(test: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(crate::threads::STACK_BYTES);
        thread.spawn(test).unwrap().join().unwrap();
    }

    #[test]
    fn what_would_be_read_again_without_end_is_given_up() {
        on_a_deep_stack(|| {
            for (open, middle) in [
                ("floor(", "1 +"),
                ("cast(", "1"),
                ("case(", "1 +"),
                ("not(", "1 +"),
                ("a in ((select ", "1 +"),
                ("(select from ((", "select 1 +"),
            ] {
                for depth in [8, 20, 40] {
                    let text = format!("select * from t where {}{middle}", open.repeat(depth));
                    let dialect = GateDialect::default();
                    assert!(parse(&dialect, &text).is_err(), "{text}");
                    let steps = dialect.steps.get();
                    assert!(steps < STEPS_MAX + 1_000, "{steps} steps: {text}");
                }
            }
        });
    }

    #[test]
    fn nested_calls_are_read_once() {
        on_a_deep_stack(|| {
            let text = format!("select {}1{}", "abs(".repeat(40), ")".repeat(40));
            let dialect = GateDialect::default();
            assert!(parse(&dialect, &text).is_ok());
            assert!(dialect.steps.get() < 100, "{} steps", dialect.steps.get());
        });
    }
}
