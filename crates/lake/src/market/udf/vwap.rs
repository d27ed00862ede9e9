//! `vwap(price, volume)` as an aggregate, also over moving windows.

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, BooleanArray},
    datatypes::{
        DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, FieldRef, i256,
    },
};
use datafusion::{
    common::{DataFusionError, ScalarValue},
    logical_expr::{
        Accumulator, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::AggregateOrderSensitivity,
    },
};
use model::decimal::DecimalType;

use super::{data_type, decimal_type, exact_type, takes};
use crate::market::{
    MarketError,
    exact::{OutOfRange, average_type, fit, scale_up},
    functions::VWAP,
    vwap::Vwap,
};

mod groups;

const USAGE: &str = "vwap(price, volume)";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct VwapFunction {
    signature: Signature,
}

impl VwapFunction {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for VwapFunction {
    fn name(&self) -> &'static str {
        VWAP
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        let [price, volume] = types else { return Err(takes(USAGE)) };
        Ok(vec![exact_type("a price", price)?, exact_type("a volume", volume)?])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        let price = types.first().unwrap_or(&DataType::Null);
        Ok(data_type(average_type(decimal_type(&exact_type("a price", price)?)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>, DataFusionError> {
        let scales = Scales::of_arguments(args.input_fields)?;
        let field = |name: &str, value: &ScalarValue| {
            Field::new(format!("{}[{name}]", args.name), value.data_type(), true).into()
        };
        let [turnover, volume] = scales.state(&Vwap::default());
        Ok(vec![field("turnover", &turnover), field("volume", &volume)])
    }

    fn accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>, DataFusionError> {
        if args.is_distinct {
            return Err(DataFusionError::NotImplemented(
                "vwap(DISTINCT …) is not supported: every row counts with its volume".to_owned(),
            ));
        }
        let scales = Scales::of_arguments(args.expr_fields)?;
        Ok(Box::new(VwapAccumulator { scales, sum: Vwap::default() }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        // What is refused is refused by the other one.
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>, DataFusionError> {
        Ok(Box::new(groups::VwapGroups::new(Scales::of_arguments(args.expr_fields)?)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The digits behind the points.
#[derive(Clone, Copy, Debug)]
struct Scales {
    price: DecimalType,
    volume: DecimalType,
}

impl Scales {
    fn of_arguments(fields: &[FieldRef]) -> Result<Self, DataFusionError> {
        let [price, volume] = fields else { return Err(takes(USAGE)) };
        Ok(Self {
            price: decimal_type(price.data_type())?,
            volume: decimal_type(volume.data_type())?,
        })
    }

    /// Those of turnover and volume. Each has 38 digits at most.
    const fn of_state(self) -> [i8; 2] {
        [self.price.scale.saturating_add(self.volume.scale), self.volume.scale]
    }

    /// The sums as the engine carries them between threads.
    fn state(self, sum: &Vwap) -> [ScalarValue; 2] {
        let wide = |value: i256, scale: i8| {
            ScalarValue::Decimal256(Some(value), DECIMAL256_MAX_PRECISION, scale)
        };
        let [turnover, volume] = self.of_state();
        [wide(sum.turnover, turnover), wide(sum.volume, volume)]
    }
}

#[derive(Debug)]
struct VwapAccumulator {
    scales: Scales,
    sum: Vwap,
}

impl VwapAccumulator {
    /// Calls `each` with every row that counts.
    fn each_row(
        &mut self,
        values: &[ArrayRef],
        each: fn(&mut Vwap, &Vwap) -> Result<(), OutOfRange>,
    ) -> Result<(), DataFusionError> {
        for row in rows(values, None)?.flatten() {
            each(&mut self.sum, &row?).map_err(out_of_range)?;
        }
        Ok(())
    }
}

/// The rows, each with what it adds if it counts: price and volume are known, and the filter takes it.
fn rows<'a>(
    values: &'a [ArrayRef],
    filter: Option<&'a BooleanArray>,
) -> Result<impl Iterator<Item = Option<Result<Vwap, DataFusionError>>> + 'a, DataFusionError> {
    let [prices, volumes] = values else { return Err(takes(USAGE)) };
    let prices = prices.as_primitive::<Decimal128Type>();
    let volumes = volumes.as_primitive::<Decimal128Type>();
    let is_taken = move |row| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
    Ok(prices.iter().zip(volumes).enumerate().map(move |(row, pair)| match pair {
        (Some(price), Some(volume)) if is_taken(row) => {
            Some(Vwap::of(price, volume).map_err(out_of_range))
        }
        _ => None,
    }))
}

fn out_of_range(_: OutOfRange) -> DataFusionError {
    MarketError::OutOfRange { function: VWAP }.into()
}

impl Accumulator for VwapAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.each_row(values, Vwap::add)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.each_row(values, Vwap::retract)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<(), DataFusionError> {
        let [turnovers, volumes] = states else { return Err(takes(USAGE)) };
        let turnovers = turnovers.as_primitive::<Decimal256Type>();
        let volumes = volumes.as_primitive::<Decimal256Type>();
        for row in 0..turnovers.len() {
            let part = Vwap { turnover: turnovers.value(row), volume: volumes.value(row) };
            self.sum.add(&part).map_err(out_of_range)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>, DataFusionError> {
        Ok(self.scales.state(&self.sum).into())
    }

    fn evaluate(&mut self) -> Result<ScalarValue, DataFusionError> {
        let kind = average_type(self.scales.price);
        let value = self.sum.value(scale_up(self.scales.price)).map_err(out_of_range)?;
        let value = value.map(|value| fit(value, kind)).transpose().map_err(out_of_range)?;
        Ok(ScalarValue::Decimal128(value, kind.precision, kind.scale))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
