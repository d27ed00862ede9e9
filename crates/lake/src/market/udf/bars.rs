//! `bar_start(length, ts)` and `bar_end(length, ts)`: the bar of its session that a moment is in.

use std::sync::Arc;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, TimestampMicrosecondArray},
    datatypes::{DataType, TimestampMicrosecondType},
};
use chrono::{DateTime, Utc};
use datafusion::{
    common::{DataFusionError, ScalarValue},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};

use super::{moment_type, takes};
use crate::{
    market::{
        MarketError,
        functions::{BAR_END, BAR_START},
        length::{Length, Place, Sessions},
    },
    rows::{moment_at, utc},
};

const USAGE: &str = "bar_start('15m', ts): a length and a moment";

/// Which end of the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Edge {
    Start,
    End,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct BarFunction {
    edge: Edge,
    signature: Signature,
}

impl BarFunction {
    pub(super) fn new(edge: Edge) -> Self {
        // As an immutable function it would be worked out while files are read, and what it says
        // about a bar across two would be lost among errors of files.
        Self { edge, signature: Signature::user_defined(Volatility::Volatile) }
    }

    /// The edge of the bar that `ts` is in, or `[ts, end)` as a whole.
    fn edge(
        &self,
        length: Length,
        sessions: &mut Sessions,
        ts: DateTime<Utc>,
        end: Option<DateTime<Utc>>,
    ) -> Result<Option<i64>, MarketError> {
        match (length.place(sessions.of(ts).as_ref(), ts, end), self.edge) {
            (Place::Outside, _) => Ok(None),
            (Place::Within { start, .. }, Edge::Start) => Ok(Some(start.timestamp_micros())),
            (Place::Within { end, .. }, Edge::End) => Ok(Some(end.timestamp_micros())),
            (Place::Across, _) => Err(MarketError::Across {
                start: ts,
                end: end.unwrap_or(ts),
                length: length.to_string(),
            }),
        }
    }
}

impl ScalarUDFImpl for BarFunction {
    fn name(&self) -> &'static str {
        match self.edge {
            Edge::Start => BAR_START,
            Edge::End => BAR_END,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The length is a text, or an interval, which is read as its text.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        let (length, moments) = match types {
            [length, moments @ ..] if (1..=2).contains(&moments.len()) => (length, moments),
            _ => return Err(takes(USAGE)),
        };
        let is_interval = matches!(length, DataType::Interval(_));
        if !(is_interval || length.is_null() || length.is_string()) {
            return Err(takes(USAGE));
        }
        let moments = moments.iter().map(|moment| moment_type("ts", moment));
        std::iter::once(Ok(DataType::Utf8)).chain(moments).collect()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        moment_type("ts", types.get(1).unwrap_or(&DataType::Null))
    }

    /// A length that is none is told before anything is read.
    fn simplify(
        &self,
        args: Vec<Expr>,
        _: &SimplifyContext,
    ) -> Result<ExprSimplifyResult, DataFusionError> {
        if let Some(Expr::Literal(ScalarValue::Utf8(Some(length)), _)) = args.first() {
            length.parse::<Length>()?;
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [lengths, starts, ends @ ..] = args.args.as_slice() else {
            return Err(takes(USAGE));
        };
        // A constant length is read once.
        let is_constant = matches!(lengths, ColumnarValue::Scalar(_));
        let lengths = lengths.to_array(if is_constant { 1 } else { args.number_rows })?;
        let lengths = lengths.as_string::<i32>();
        let starts = starts.to_array(args.number_rows)?;
        let starts = starts.as_primitive::<TimestampMicrosecondType>();
        let ends = ends.first().map(|ends| ends.to_array(args.number_rows)).transpose()?;
        let ends = ends.as_ref().map(|ends| ends.as_primitive::<TimestampMicrosecondType>());

        let mut sessions = Sessions::default();
        let mut known: Option<(&str, Length)> = None;
        let mut values = Vec::with_capacity(starts.len());
        for row in 0..starts.len() {
            let length_row = if is_constant { 0 } else { row };
            let ts = moment_at(starts, row).and_then(utc);
            let Some(ts) = ts.filter(|_| lengths.is_valid(length_row)) else {
                values.push(None);
                continue;
            };
            let text = lengths.value(length_row);
            let length = match known {
                Some((known, length)) if known == text => length,
                _ => text.parse()?,
            };
            known = Some((text, length));
            let end = ends.and_then(|ends| moment_at(ends, row)).and_then(utc);
            values.push(self.edge(length, &mut sessions, ts, end)?);
        }
        let values = TimestampMicrosecondArray::from(values);
        let values: ArrayRef =
            Arc::new(values.with_data_type(args.return_field.data_type().clone()));
        Ok(ColumnarValue::Array(values))
    }
}
