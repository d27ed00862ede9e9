//! A float beside a decimal: both are counted in floats, as in PostgreSQL.
//!
//! Left alone, the engine takes the float for a decimal with fifteen digits on either side of the
//! point, and `stddev(volume) > 0.5` fails where there are more.

use arrow::datatypes::DataType;
use datafusion::{
    common::{DFSchema, DataFusionError},
    logical_expr::{
        ExprSchemable as _, cast,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
};

/// Makes the decimal side of an operator a float where the other side is one.
#[derive(Debug)]
pub(super) struct FloatsPrevail;

impl ExprPlanner for FloatsPrevail {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>, DataFusionError> {
        let is_float = |data_type: &DataType| data_type.is_floating();
        let is_decimal = |data_type: &DataType| data_type.is_decimal();
        // A side without a type, such as a parameter, is nothing to decide about.
        match (expr.left.get_type(schema), expr.right.get_type(schema)) {
            (Ok(left), Ok(right)) if is_float(&left) && is_decimal(&right) => {
                expr.right = cast(expr.right, DataType::Float64);
            }
            (Ok(left), Ok(right)) if is_decimal(&left) && is_float(&right) => {
                expr.left = cast(expr.left, DataType::Float64);
            }
            _ => (),
        }
        Ok(PlannerResult::Original(expr))
    }
}
