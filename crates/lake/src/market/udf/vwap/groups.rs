//! `vwap` of many groups at once: their sums lie side by side, so that a row costs two additions and
//! no call.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray as _, BooleanArray, Decimal128Array, Decimal256Array, Decimal256Builder,
    },
    datatypes::{DECIMAL256_MAX_PRECISION, Decimal256Type},
};
use datafusion::{
    common::DataFusionError,
    logical_expr::{EmitTo, GroupsAccumulator},
};

use super::{Scales, USAGE, out_of_range, rows};
use crate::market::{
    exact::{average_type, fit, scale_up},
    udf::takes,
    vwap::Vwap,
};

#[derive(Debug)]
pub(super) struct VwapGroups {
    scales: Scales,
    sums: Vec<Vwap>,
}

impl VwapGroups {
    pub(super) const fn new(scales: Scales) -> Self {
        Self { scales, sums: Vec::new() }
    }

    fn add(&mut self, group: usize, part: &Vwap) -> Result<(), DataFusionError> {
        match self.sums.get_mut(group) {
            Some(sum) => sum.add(part).map_err(out_of_range),
            None => Err(DataFusionError::Internal(format!("there is no group {group}"))),
        }
    }
}

/// The sums as the engine carries them between threads.
fn state(scales: Scales, sums: &[Vwap]) -> Result<Vec<ArrayRef>, DataFusionError> {
    let column = |values: Decimal256Array, scale| -> Result<ArrayRef, DataFusionError> {
        Ok(Arc::new(values.with_precision_and_scale(DECIMAL256_MAX_PRECISION, scale)?))
    };
    let mut turnovers = Decimal256Builder::with_capacity(sums.len());
    let mut volumes = Decimal256Builder::with_capacity(sums.len());
    for sum in sums {
        turnovers.append_value(sum.turnover);
        volumes.append_value(sum.volume);
    }
    let [of_turnover, of_volume] = scales.of_state();
    Ok(vec![column(turnovers.finish(), of_turnover)?, column(volumes.finish(), of_volume)?])
}

impl GroupsAccumulator for VwapGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<(), DataFusionError> {
        self.sums.resize(total_num_groups, Vwap::default());
        for (row, group) in rows(values, opt_filter)?.zip(group_indices) {
            if let Some(part) = row {
                self.add(*group, &part?)?;
            }
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<(), DataFusionError> {
        let [turnovers, volumes] = values else { return Err(takes(USAGE)) };
        let turnovers = turnovers.as_primitive::<Decimal256Type>().values();
        let volumes = volumes.as_primitive::<Decimal256Type>().values();
        self.sums.resize(total_num_groups, Vwap::default());
        for ((turnover, volume), group) in turnovers.iter().zip(volumes).zip(group_indices) {
            self.add(*group, &Vwap { turnover: *turnover, volume: *volume })?;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef, DataFusionError> {
        let kind = average_type(self.scales.price);
        let scale_up = scale_up(self.scales.price);
        let average = |sum: Vwap| -> Result<Option<i128>, DataFusionError> {
            let value = sum.value(scale_up).map_err(out_of_range)?;
            value.map(|value| fit(value, kind)).transpose().map_err(out_of_range)
        };
        let sums = emit_to.take_needed(&mut self.sums);
        let values = sums.into_iter().map(average).collect::<Result<Decimal128Array, _>>()?;
        Ok(Arc::new(values.with_precision_and_scale(kind.precision, kind.scale)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>, DataFusionError> {
        state(self.scales, &emit_to.take_needed(&mut self.sums))
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>, DataFusionError> {
        let sums: Vec<Vwap> = rows(values, opt_filter)?
            .map(|row| row.unwrap_or_else(|| Ok(Vwap::default())))
            .collect::<Result<_, _>>()?;
        state(self.scales, &sums)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sums.capacity() * size_of::<Vwap>()
    }
}

#[cfg(test)]
mod tests {
    use arrow::{array::Decimal128Array, datatypes::Decimal128Type};
    use model::decimal::DecimalType;

    use super::*;

    /// Prices with two digits behind the point, volumes with none.
    fn columns(rows: &[(Option<i128>, Option<i128>)]) -> [ArrayRef; 2] {
        let column = |values: Decimal128Array, precision, scale| -> ArrayRef {
            Arc::new(values.with_precision_and_scale(precision, scale).unwrap())
        };
        let (prices, volumes): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        [column(prices.into(), 18, 2), column(volumes.into(), 20, 0)]
    }

    fn groups() -> VwapGroups {
        let scales = Scales {
            price: DecimalType { precision: 18, scale: 2 },
            volume: DecimalType { precision: 20, scale: 0 },
        };
        VwapGroups::new(scales)
    }

    fn averages(groups: &mut VwapGroups, emit_to: EmitTo) -> Vec<Option<i128>> {
        let found = groups.evaluate(emit_to).unwrap();
        let digits = u32::try_from(average_type(groups.scales.price).scale - 2).unwrap();
        let up = 10_i128.pow(digits);
        let cents = |value: i128| value / up;
        found.as_primitive::<Decimal128Type>().iter().map(|value| value.map(cents)).collect()
    }

    const ROWS: [(Option<i128>, Option<i128>); 6] = [
        (Some(1000), Some(1)),
        (Some(500), Some(7)),
        (Some(2000), Some(3)),
        (None, Some(9)),
        (Some(300), None),
        (Some(900), Some(0)),
    ];
    const GROUPS: [usize; 6] = [0, 1, 0, 0, 1, 2];

    #[test]
    fn every_group_has_its_own_average() {
        let mut whole = groups();
        whole.update_batch(&columns(&ROWS), &GROUPS, None, 4).unwrap();
        let expected = [Some(1750), Some(500), None, None];
        assert_eq!(averages(&mut whole, EmitTo::First(1)), expected[..1]);
        assert_eq!(averages(&mut whole, EmitTo::All), expected[1..]);
    }

    #[test]
    fn a_filter_leaves_rows_out() {
        let mut kept = groups();
        let filter: BooleanArray =
            [Some(true), None, Some(false), Some(true), Some(true), Some(true)]
                .into_iter()
                .collect();
        kept.update_batch(&columns(&ROWS), &GROUPS, Some(&filter), 3).unwrap();
        assert_eq!(averages(&mut kept, EmitTo::All), [Some(1000), None, None]);
    }

    #[test]
    fn parts_of_either_kind_come_to_the_whole() {
        let mut merged = groups();
        for (at, (row, group)) in ROWS.iter().zip(GROUPS).enumerate() {
            let columns = columns(&[*row]);
            let part = if at % 2 == 0 {
                groups().convert_to_state(&columns, None).unwrap()
            } else {
                let mut part = groups();
                part.update_batch(&columns, &[0], None, 1).unwrap();
                part.state(EmitTo::All).unwrap()
            };
            merged.merge_batch(&part, &[group], 3).unwrap();
        }
        assert_eq!(averages(&mut merged, EmitTo::All), [Some(1750), Some(500), None]);
    }
}
