//! `sma`, `wma` and `ema` as window functions: one value after the other, in bounded memory.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type, i256},
};
use datafusion::{
    common::{DataFusionError, ScalarValue},
    logical_expr::{
        LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDFImpl,
        function::{PartitionEvaluatorArgs, WindowUDFFieldArgs},
    },
    physical_plan::PhysicalExpr,
};
use model::decimal::DecimalType;

use super::{data_type, decimal_type, exact_type, takes};
use crate::market::{
    MarketError, PERIODS_MAX,
    average::{Exact, Exponential, Inexact},
    exact::{average_type, fit, scale_up},
    functions::Moving,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct MovingFunction {
    name: &'static str,
    moving: Moving,
    signature: Signature,
}

impl MovingFunction {
    pub(super) fn new(name: &'static str, moving: Moving) -> Self {
        Self { name, moving, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// Floats stay floats, and an exponential average is one; everything else is exact.
    fn value_type(&self, x: &DataType) -> Result<DataType, DataFusionError> {
        let is_number = x.is_numeric() || x.is_null() || x.is_string();
        if x.is_floating() || (self.moving == Moving::Exponential && is_number) {
            return Ok(DataType::Float64);
        }
        exact_type("a value to average", x)
    }
}

impl WindowUDFImpl for MovingFunction {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        let [x, n] = types else { return Err(takes(&format!("{}(x, n)", self.name))) };
        if !(n.is_integer() || n.is_null() || n.is_string()) {
            return Err(DataFusionError::Plan(format!("n is a number of values, and no {n}")));
        }
        Ok(vec![self.value_type(x)?, DataType::Int64])
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef, DataFusionError> {
        let x = args.get_input_field(0);
        let x = self.value_type(x.as_ref().map_or(&DataType::Null, |field| field.data_type()))?;
        let average = match x {
            DataType::Float64 => x,
            exact => data_type(average_type(decimal_type(&exact)?)),
        };
        Ok(Field::new(args.name(), average, true).into())
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>, DataFusionError> {
        let x = args.input_fields().first();
        let x = self.value_type(x.map_or(&DataType::Null, |field| field.data_type()))?;
        let exact = if x == DataType::Float64 { None } else { Some(decimal_type(&x)?) };
        let (function, moving) = (self.name, self.moving);
        Ok(Box::new(Evaluator { function, moving, exact, started: None }))
    }

    /// Each row needs those before it, and none after it.
    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::None
    }
}

/// The average of one partition, as far as it has come.
#[derive(Debug)]
struct Evaluator {
    function: &'static str,
    moving: Moving,
    /// The type of the values, where they are no floats.
    exact: Option<DecimalType>,
    /// From the first row on: the number of values, and the average.
    started: Option<(i64, Average)>,
}

#[derive(Debug)]
enum Average {
    Exact(Exact, i256),
    Inexact(Inexact),
    Exponential(Exponential),
}

impl Evaluator {
    /// The average over as many values as the row says, which is the same for all rows.
    fn average(&mut self, periods: &ArrayRef, row: usize) -> Result<&mut Average, DataFusionError> {
        let function = self.function;
        let periods = periods.as_primitive::<Int64Type>();
        let given = periods.is_valid(row).then(|| periods.value(row));
        let Some(n) = given.filter(|n| (1..=PERIODS_MAX).contains(n)) else {
            let given = given.map_or_else(|| "NULL".to_owned(), |n| n.to_string());
            return Err(MarketError::Periods { function, given }.into());
        };
        let size = usize::try_from(n).unwrap_or(1);
        let (known, average) = self.started.get_or_insert_with(|| {
            let average = match (self.moving, self.exact) {
                (Moving::Exponential, _) => Average::Exponential(Exponential::new(size)),
                (Moving::Over(weights), None) => Average::Inexact(Inexact::new(weights, size)),
                (Moving::Over(weights), Some(kind)) => {
                    Average::Exact(Exact::new(weights, size), scale_up(kind))
                }
            };
            (n, average)
        });
        if *known != n {
            return Err(MarketError::PeriodsDiffer { function }.into());
        }
        Ok(average)
    }
}

impl PartitionEvaluator for Evaluator {
    fn is_causal(&self) -> bool {
        true
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }

    /// Called once for every row, in their order. A missing value has no average and counts for
    /// none.
    fn evaluate(
        &mut self,
        values: &[ArrayRef],
        range: &Range<usize>,
    ) -> Result<ScalarValue, DataFusionError> {
        let [x, periods, ..] = values else { return Err(takes("(x, n)")) };
        let (row, exact, function) = (range.start, self.exact, self.function);
        let average = self.average(periods, row)?;
        let is_known = x.is_valid(row);
        let Some(kind) = exact else {
            let x = x.as_primitive::<Float64Type>();
            let value = match average {
                Average::Inexact(average) if is_known => average.push(x.value(row)),
                Average::Exponential(average) if is_known => average.push(x.value(row)),
                _ => None,
            };
            return Ok(ScalarValue::Float64(value));
        };
        let out_of_range = |_| DataFusionError::from(MarketError::OutOfRange { function });
        let result = average_type(kind);
        let value = match average {
            Average::Exact(average, scale_up) if is_known => {
                let x = x.as_primitive::<Decimal128Type>().value(row);
                average.push(x, *scale_up).map_err(out_of_range)?
            }
            _ => None,
        };
        let value = value.map(|value| fit(value, result)).transpose().map_err(out_of_range)?;
        Ok(ScalarValue::Decimal128(value, result.precision, result.scale))
    }
}
