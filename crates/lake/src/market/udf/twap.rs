//! `twap(price, ts)` as an aggregate, also over moving windows.

use std::sync::Arc;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, Decimal256Array, Int64Array, ListArray},
    buffer::OffsetBuffer,
    datatypes::{
        DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, FieldRef,
        Int64Type, TimestampMicrosecondType,
    },
};
use datafusion::{
    common::{DataFusionError, ScalarValue},
    logical_expr::{
        Accumulator, AggregateUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::AggregateOrderSensitivity,
    },
};
use model::decimal::DecimalType;

use super::{data_type, decimal_type, exact_type, moment_type, takes};
use crate::market::{
    MarketError,
    exact::{OutOfRange, average_type, fit, scale_up},
    functions::TWAP,
    twap::{Prices, Twap},
};

const USAGE: &str = "twap(price, ts)";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TwapFunction {
    signature: Signature,
}

impl TwapFunction {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for TwapFunction {
    fn name(&self) -> &'static str {
        TWAP
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        let [price, ts] = types else { return Err(takes(USAGE)) };
        Ok(vec![exact_type("a price", price)?, moment_type("ts", ts)?])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        let price = types.first().unwrap_or(&DataType::Null);
        Ok(data_type(average_type(decimal_type(&exact_type("a price", price)?)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>, DataFusionError> {
        let [price, _] = args.input_fields else { return Err(takes(USAGE)) };
        let field = |name: &str, item: DataType| {
            let list = DataType::new_list(item, true);
            Field::new(format!("{}[{name}]", args.name), list, true).into()
        };
        let sum = sum_type(decimal_type(price.data_type())?);
        Ok(vec![
            field("moments", DataType::Int64),
            field("sums", sum),
            field("counts", DataType::Int64),
        ])
    }

    fn accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>, DataFusionError> {
        if args.is_distinct {
            return Err(DataFusionError::NotImplemented(
                "twap(DISTINCT …) is not supported: every row counts".to_owned(),
            ));
        }
        let [price, _] = args.expr_fields else { return Err(takes(USAGE)) };
        let price = decimal_type(price.data_type())?;
        Ok(Box::new(TwapAccumulator { price, twap: Twap::new(scale_up(price)) }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn sum_type(price: DecimalType) -> DataType {
    DataType::Decimal256(DECIMAL256_MAX_PRECISION, price.scale)
}

#[derive(Debug)]
struct TwapAccumulator {
    price: DecimalType,
    twap: Twap,
}

impl TwapAccumulator {
    /// Calls `each` with every row whose price and time are known.
    fn rows(
        &mut self,
        values: &[ArrayRef],
        each: fn(&mut Twap, i64, Prices) -> Result<(), OutOfRange>,
    ) -> Result<(), DataFusionError> {
        let [prices, times] = values else { return Err(takes(USAGE)) };
        let prices = prices.as_primitive::<Decimal128Type>();
        let times = times.as_primitive::<TimestampMicrosecondType>();
        for row in 0..prices.len() {
            if prices.is_valid(row) && times.is_valid(row) {
                each(&mut self.twap, times.value(row), Prices::of(prices.value(row)))
                    .map_err(out_of_range)?;
            }
        }
        Ok(())
    }
}

fn out_of_range(_: OutOfRange) -> DataFusionError {
    MarketError::OutOfRange { function: TWAP }.into()
}

/// A list as one value.
fn list(items: ArrayRef) -> Result<ScalarValue, DataFusionError> {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([items.len()]);
    Ok(ScalarValue::List(Arc::new(ListArray::try_new(field, offsets, items, None)?)))
}

impl Accumulator for TwapAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.rows(values, Twap::add)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.rows(values, Twap::retract)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<(), DataFusionError> {
        let [times, sums, counts] = states else { return Err(takes(USAGE)) };
        let (times, sums) = (times.as_list::<i32>(), sums.as_list::<i32>());
        let counts = counts.as_list::<i32>();
        for row in (0..times.len()).filter(|row| times.is_valid(*row)) {
            let (times, sums, counts) = (times.value(row), sums.value(row), counts.value(row));
            let times = times.as_primitive::<Int64Type>();
            let sums = sums.as_primitive::<Decimal256Type>();
            let counts = counts.as_primitive::<Int64Type>();
            for item in 0..times.len() {
                let prices = Prices { sum: sums.value(item), count: counts.value(item) };
                self.twap.add(times.value(item), prices).map_err(out_of_range)?;
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>, DataFusionError> {
        let moments = || self.twap.moments();
        let times: Int64Array = moments().map(|(time, _)| Some(time)).collect();
        let sums: Decimal256Array = moments().map(|(_, prices)| Some(prices.sum)).collect();
        let counts: Int64Array = moments().map(|(_, prices)| Some(prices.count)).collect();
        let sums = sums.with_data_type(sum_type(self.price));
        Ok(vec![list(Arc::new(times))?, list(Arc::new(sums))?, list(Arc::new(counts))?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue, DataFusionError> {
        let kind = average_type(self.price);
        let value = self.twap.value().map_err(out_of_range)?;
        let value = value.map(|value| fit(value, kind)).transpose().map_err(out_of_range)?;
        Ok(ScalarValue::Decimal128(value, kind.precision, kind.scale))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.twap.size()
    }
}
