//! The market functions as the engine calls them.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::{
    common::DataFusionError,
    logical_expr::{AggregateUDF, ScalarUDF, WindowUDF},
    prelude::SessionContext,
};
use model::decimal::DecimalType;

use super::functions::MOVING;
use crate::schema::timestamp;

mod bars;
mod moving;
mod twap;
mod vwap;

/// Makes the functions known to a context.
pub(crate) fn register(context: &SessionContext) {
    context.register_udaf(AggregateUDF::new_from_impl(vwap::VwapFunction::new()));
    context.register_udaf(AggregateUDF::new_from_impl(twap::TwapFunction::new()));
    for (name, moving) in MOVING {
        context.register_udwf(WindowUDF::new_from_impl(moving::MovingFunction::new(name, moving)));
    }
    for edge in [bars::Edge::Start, bars::Edge::End] {
        context.register_udf(ScalarUDF::new_from_impl(bars::BarFunction::new(edge)));
    }
}

/// The type in which exact numbers are taken; an error tells what to do about others.
fn exact_type(argument: &str, data_type: &DataType) -> Result<DataType, DataFusionError> {
    Ok(match data_type {
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale)
            if *scale >= 0 =>
        {
            DataType::Decimal128(*precision, *scale)
        }
        data_type if data_type.is_integer() => DataType::Decimal128(20, 0),
        // A parameter or a literal without a type.
        data_type if data_type.is_null() || data_type.is_string() => {
            DataType::Decimal128(DECIMAL128_MAX_PRECISION, 10)
        }
        data_type => {
            return Err(DataFusionError::Plan(format!(
                "{argument} is exact: cast {data_type} to numeric(18,6)"
            )));
        }
    })
}

fn decimal_type(data_type: &DataType) -> Result<DecimalType, DataFusionError> {
    match data_type {
        DataType::Decimal128(precision, scale) => {
            Ok(DecimalType { precision: *precision, scale: *scale })
        }
        other => Err(DataFusionError::Internal(format!("{other} where a decimal was expected"))),
    }
}

fn data_type(kind: DecimalType) -> DataType {
    DataType::Decimal128(kind.precision, kind.scale)
}

/// The type in which moments are taken.
fn moment_type(argument: &str, data_type: &DataType) -> Result<DataType, DataFusionError> {
    Ok(match data_type {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        data_type if data_type.is_null() || data_type.is_string() => timestamp(),
        data_type => {
            return Err(DataFusionError::Plan(format!(
                "{argument} is a moment: {data_type} cannot be one"
            )));
        }
    })
}

/// The number of arguments was wrong.
fn takes(usage: &str) -> DataFusionError {
    DataFusionError::Plan(format!("it is called as {usage}"))
}
