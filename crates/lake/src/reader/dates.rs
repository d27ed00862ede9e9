//! A date and a part of a day: a moment, as in PostgreSQL.
//!
//! Left alone, the engine keeps the date and forgets the hours of `date '2024-01-01' + interval
//! '12 hours'`. Whole days are left to it: `session_date >= current_date - interval '7 days'`
//! compares dates, and only so finds the partitions it needs.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    common::{DFSchema, DataFusionError, ScalarValue},
    logical_expr::{
        Expr, ExprSchemable as _, cast,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

/// Makes a date a moment where an interval that may have hours is added or taken away.
#[derive(Debug)]
pub(super) struct DatesWithHours;

impl ExprPlanner for DatesWithHours {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>, DataFusionError> {
        if !matches!(expr.op, BinaryOperator::Plus | BinaryOperator::Minus) {
            return Ok(PlannerResult::Original(expr));
        }
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        let is_date = |data_type: &DataType| *data_type == DataType::Date32;
        let is_interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
        // A side without a type, such as a parameter, is nothing to decide about.
        match (expr.left.get_type(schema), expr.right.get_type(schema)) {
            (Ok(left), Ok(right))
                if is_date(&left) && is_interval(&right) && may_have_hours(&expr.right) =>
            {
                expr.left = cast(expr.left, moment);
            }
            (Ok(left), Ok(right))
                if is_interval(&left) && is_date(&right) && may_have_hours(&expr.left) =>
            {
                expr.right = cast(expr.right, moment);
            }
            _ => (),
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn may_have_hours(interval: &Expr) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => {
            interval.nanoseconds != 0
        }
        Expr::Literal(ScalarValue::IntervalYearMonth(_), _) => false,
        _ => true,
    }
}
