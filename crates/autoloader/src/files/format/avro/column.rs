//! Values of an Avro file, appended to a column each, and their arrays.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder,
        Float32Builder, Float64Builder, Int32Builder, Int64Builder, ListArray, MapArray, NullArray,
        NullBufferBuilder, StringBuilder, StructArray, make_array,
    },
    buffer::OffsetBuffer,
    datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, i256},
    error::ArrowError,
};

use super::{
    input::{Input, Problem},
    schema::Type,
};
use crate::files::{
    format::FileProblem,
    schema::{list_of, map_of},
};

/// Most columns, those inside of others counted. Names let a schema of a few lines have billions.
const COLUMNS_MAX: usize = 50_000;

/// Bytes that a null costs each column inside of it, about.
const NULL_BYTES: usize = 8;

/// The rows of a file that are being appended.
#[derive(Debug)]
pub(super) struct Rows {
    root: Record,
}

impl Rows {
    pub(super) fn new(root: &Type) -> Result<Self, String> {
        let Type::Record(fields) = root else {
            return Err("its schema is no record".to_owned());
        };
        Ok(Self { root: Record::new(fields.iter(), &mut COLUMNS_MAX.clone())? })
    }

    pub(super) fn fields(&self) -> Fields {
        self.root.fields.clone()
    }

    pub(super) const fn len(&self) -> usize {
        self.root.rows
    }

    /// Appends the row that `input` begins with. After a failure nothing is to be read any more.
    pub(super) fn append(&mut self, input: &mut Input<'_>) -> Result<(), Problem> {
        let used = input.used();
        self.root.append(input)?;
        // A row costs each of its columns something, also where the file has no byte for it.
        input.make(self.root.columns.saturating_mul(NULL_BYTES))?;
        input.end_value(used)
    }

    /// Hands on the rows appended so far.
    pub(super) fn finish(&mut self) -> Result<StructArray, FileProblem> {
        self.root.finish().map_err(FileProblem::Rows)
    }
}

/// One column.
#[derive(Debug)]
enum Column {
    Null(usize),
    Boolean(BooleanBuilder),
    Int(Int32Builder, DataType),
    Long(Int64Builder, DataType),
    Float(Float32Builder),
    Double(Float64Builder),
    Bytes(BinaryBuilder),
    Text(StringBuilder),
    Fixed(BinaryBuilder, usize),
    Uuid(StringBuilder),
    Decimal(Decimal128Builder, Digits),
    LargeDecimal(Decimal256Builder, Digits),
    Enum(StringBuilder, Arc<[String]>),
    List(Items, Box<Self>),
    Map(Items, StringBuilder, Box<Self>),
    Record(Record),
    Union(Union),
}

/// A decimal: its digits, those behind the point, and its bytes where all values have as many.
#[derive(Clone, Copy, Debug)]
struct Digits {
    precision: u8,
    scale: i8,
    length: Option<usize>,
}

/// Where lists end, and which are null.
#[derive(Debug)]
struct Items {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

/// Columns side by side.
#[derive(Debug)]
struct Record {
    fields: Fields,
    members: Vec<Column>,
    nulls: NullBufferBuilder,
    rows: usize,
    /// How many columns there are, those inside of others counted.
    columns: usize,
}

/// A value of one of several types.
#[derive(Debug)]
struct Union {
    choices: Vec<Choice>,
    inner: Box<Column>,
}

/// What a choice of a union is to its column.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Null,
    /// The column has values of this type.
    Same,
    /// The column has wider values than this type.
    Int,
    Float,
    /// The column is a struct, of which it is a member.
    Member(usize),
}

impl Column {
    fn new(made_of: &Type, left: &mut usize) -> Result<Self, String> {
        *left = left.checked_sub(1).ok_or_else(|| {
            format!(
                "its schema has more than {COLUMNS_MAX} columns, those inside of others counted"
            )
        })?;
        Ok(match made_of {
            Type::Null => Self::Null(0),
            Type::Boolean => Self::Boolean(BooleanBuilder::new()),
            Type::Int(data_type) => Self::Int(Int32Builder::new(), data_type.clone()),
            Type::Long(data_type) => Self::Long(Int64Builder::new(), data_type.clone()),
            Type::Float => Self::Float(Float32Builder::new()),
            Type::Double => Self::Double(Float64Builder::new()),
            Type::Bytes => Self::Bytes(BinaryBuilder::new()),
            Type::Text => Self::Text(StringBuilder::new()),
            Type::Fixed(length) => Self::Fixed(BinaryBuilder::new(), *length),
            Type::Uuid => Self::Uuid(StringBuilder::new()),
            Type::Decimal { precision, scale, length } => {
                let digits = Digits { precision: *precision, scale: *scale, length: *length };
                if *precision <= DECIMAL128_MAX_PRECISION {
                    let data_type = DataType::Decimal128(*precision, *scale);
                    Self::Decimal(Decimal128Builder::new().with_data_type(data_type), digits)
                } else {
                    let data_type = DataType::Decimal256(*precision, *scale);
                    Self::LargeDecimal(Decimal256Builder::new().with_data_type(data_type), digits)
                }
            }
            Type::Enum(symbols) => Self::Enum(StringBuilder::new(), Arc::clone(symbols)),
            Type::List(item) => Self::List(Items::new(), Box::new(Self::new(item, left)?)),
            Type::Map(value) => {
                let value = Box::new(Self::new(value, left)?);
                Self::Map(Items::new(), StringBuilder::new(), value)
            }
            Type::Record(fields) => Self::Record(Record::new(fields.iter(), left)?),
            Type::Union(choices) => Self::Union(Union::new(choices, left)?),
        })
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Null(_) => DataType::Null,
            Self::Boolean(_) => DataType::Boolean,
            Self::Int(_, data_type) | Self::Long(_, data_type) => data_type.clone(),
            Self::Float(_) => DataType::Float32,
            Self::Double(_) => DataType::Float64,
            Self::Bytes(_) | Self::Fixed(..) => DataType::Binary,
            Self::Text(_) | Self::Uuid(_) | Self::Enum(..) => DataType::Utf8,
            Self::Decimal(_, digits) => DataType::Decimal128(digits.precision, digits.scale),
            Self::LargeDecimal(_, digits) => DataType::Decimal256(digits.precision, digits.scale),
            Self::List(_, item) => list_of(item.data_type()),
            Self::Map(_, _, value) => map_of(DataType::Utf8, value.data_type()),
            Self::Record(record) => DataType::Struct(record.fields.clone()),
            Self::Union(union) => union.inner.data_type(),
        }
    }

    /// Returns how many columns a null is appended to.
    fn columns(&self) -> usize {
        match self {
            Self::Record(record) => record.columns,
            Self::Union(union) => union.inner.columns(),
            _ => 1,
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Null(rows) => *rows += 1,
            Self::Boolean(builder) => builder.append_null(),
            Self::Int(builder, _) => builder.append_null(),
            Self::Long(builder, _) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Double(builder) => builder.append_null(),
            Self::Bytes(builder) | Self::Fixed(builder, _) => builder.append_null(),
            Self::Text(builder) | Self::Uuid(builder) | Self::Enum(builder, _) => {
                builder.append_null();
            }
            Self::Decimal(builder, _) => builder.append_null(),
            Self::LargeDecimal(builder, _) => builder.append_null(),
            Self::List(items, _) | Self::Map(items, ..) => items.append_null(),
            Self::Record(record) => record.append_null(),
            Self::Union(union) => union.inner.append_null(),
        }
    }

    fn append(&mut self, input: &mut Input<'_>) -> Result<(), Problem> {
        match self {
            Self::Null(rows) => *rows += 1,
            Self::Boolean(builder) => builder.append_value(input.bool()?),
            Self::Int(builder, _) => builder.append_value(input.int()?),
            Self::Long(builder, _) => builder.append_value(input.long()?),
            Self::Float(builder) => builder.append_value(input.float()?),
            Self::Double(builder) => builder.append_value(input.double()?),
            Self::Bytes(builder) => builder.append_value(input.bytes()?),
            Self::Text(builder) => builder.append_value(input.text()?),
            Self::Fixed(builder, length) => builder.append_value(input.take(*length)?),
            Self::Uuid(builder) => builder.append_value(uuid(input.take(16)?)),
            Self::Decimal(builder, digits) => {
                builder.append_value(i128::from_be_bytes(number(input, digits.length)?));
            }
            Self::LargeDecimal(builder, digits) => {
                builder.append_value(i256::from_be_bytes(number(input, digits.length)?));
            }
            Self::Enum(builder, symbols) => {
                let symbol = symbols.get(input.choice(symbols.len())?).ok_or(Problem::Choice)?;
                input.make(symbol.len())?;
                builder.append_value(symbol);
            }
            Self::List(items, item) => items.append(input, |input| item.append(input))?,
            Self::Map(items, keys, value) => items.append(input, |input| {
                keys.append_value(input.text()?);
                value.append(input)
            })?,
            Self::Record(record) => record.append(input)?,
            Self::Union(union) => union.append(input)?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Null(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int(builder, data_type) => as_type(&builder.finish(), data_type)?,
            Self::Long(builder, data_type) => as_type(&builder.finish(), data_type)?,
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder) | Self::Fixed(builder, _) => Arc::new(builder.finish()),
            Self::Text(builder) | Self::Uuid(builder) | Self::Enum(builder, _) => {
                Arc::new(builder.finish())
            }
            Self::Decimal(builder, _) => Arc::new(builder.finish()),
            Self::LargeDecimal(builder, _) => Arc::new(builder.finish()),
            Self::List(items, item) => {
                let (offsets, nulls) = items.finish();
                let field = Field::new("element", item.data_type(), true);
                Arc::new(ListArray::try_new(Arc::new(field), offsets, item.finish()?, nulls)?)
            }
            Self::Map(items, keys, value) => {
                let DataType::Map(entries, _) = map_of(DataType::Utf8, value.data_type()) else {
                    return Err(ArrowError::SchemaError("a map is no map".to_owned()));
                };
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(ArrowError::SchemaError("entries are no struct".to_owned()));
                };
                let arrays = vec![Arc::new(keys.finish()) as ArrayRef, value.finish()?];
                let inside = StructArray::try_new(fields.clone(), arrays, None)?;
                let (offsets, nulls) = items.finish();
                Arc::new(MapArray::try_new(entries, offsets, inside, nulls, false)?)
            }
            Self::Record(record) => Arc::new(record.finish()?),
            Self::Union(union) => union.inner.finish()?,
        })
    }
}

impl Items {
    fn new() -> Self {
        Self { offsets: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    fn append_null(&mut self) {
        self.offsets.push(self.offsets.last().copied().unwrap_or_default());
        self.nulls.append_null();
    }

    /// Appends items until there are none.
    fn append(
        &mut self,
        input: &mut Input<'_>,
        mut append: impl FnMut(&mut Input<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut end = self.offsets.last().copied().unwrap_or_default();
        loop {
            let count = input.count()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                let used = input.used();
                append(input)?;
                input.end_value(used)?;
                end = end.checked_add(1).ok_or(Problem::Large)?;
            }
        }
        self.offsets.push(end);
        self.nulls.append_non_null();
        Ok(())
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<arrow::buffer::NullBuffer>) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        (OffsetBuffer::new(offsets.into()), self.nulls.finish())
    }
}

impl Record {
    fn new<'a>(
        fields: impl Iterator<Item = &'a (String, Type)>,
        left: &mut usize,
    ) -> Result<Self, String> {
        let (mut members, mut named) = (Vec::new(), Vec::new());
        for (name, made_of) in fields {
            let member = Column::new(made_of, left)?;
            named.push(Field::new(name, member.data_type(), true));
            members.push(member);
        }
        Ok(Self {
            fields: named.into(),
            columns: 1 + members.iter().map(Column::columns).sum::<usize>(),
            members,
            nulls: NullBufferBuilder::new(0),
            rows: 0,
        })
    }

    fn append_null(&mut self) {
        self.members.iter_mut().for_each(Column::append_null);
        self.nulls.append_null();
        self.rows += 1;
    }

    fn append(&mut self, input: &mut Input<'_>) -> Result<(), Problem> {
        for member in &mut self.members {
            member.append(input)?;
        }
        self.end_row();
        Ok(())
    }

    fn end_row(&mut self) {
        self.nulls.append_non_null();
        self.rows += 1;
    }

    fn finish(&mut self) -> Result<StructArray, ArrowError> {
        let arrays = self.members.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
        let rows = std::mem::take(&mut self.rows);
        let nulls = self.nulls.finish();
        StructArray::try_new_with_length(self.fields.clone(), arrays, nulls, rows)
    }
}

impl Union {
    /// Nulls aside, one type is itself, two of numbers are the wider one, and others are a struct
    /// with a member for each, as Spark has it.
    fn new(types: &[Type], left: &mut usize) -> Result<Self, String> {
        let others: Vec<&Type> = types.iter().filter(|one| **one != Type::Null).collect();
        let (int, long) = (Type::Int(DataType::Int32), Type::Long(DataType::Int64));
        let are = |one: &Type, other: &Type| {
            others.len() == 2 && others.contains(&one) && others.contains(&other)
        };
        let (inner, choice): (Column, fn(&Type, usize) -> Choice) = match others[..] {
            [] => (Column::Null(0), |_, _| Choice::Same),
            [one] => (Column::new(one, left)?, |_, _| Choice::Same),
            _ if are(&int, &long) => (Column::new(&long, left)?, |one, _| match one {
                Type::Int(_) => Choice::Int,
                _ => Choice::Same,
            }),
            _ if are(&Type::Float, &Type::Double) => {
                (Column::new(&Type::Double, left)?, |one, _| match one {
                    Type::Float => Choice::Float,
                    _ => Choice::Same,
                })
            }
            _ => {
                let name = |(at, one): (usize, &&Type)| (format!("member{at}"), (*one).clone());
                let members: Vec<_> = others.iter().enumerate().map(name).collect();
                let record = Record::new(members.iter(), left)?;
                (Column::Record(record), |_, at| Choice::Member(at))
            }
        };
        let mut members = 0;
        let choices = types.iter().map(|one| match one {
            Type::Null => Choice::Null,
            one => {
                members += 1;
                choice(one, members - 1)
            }
        });
        Ok(Self { choices: choices.collect(), inner: Box::new(inner) })
    }

    fn append(&mut self, input: &mut Input<'_>) -> Result<(), Problem> {
        let choice = input.choice(self.choices.len())?;
        match (self.choices.get(choice).ok_or(Problem::Choice)?, &mut *self.inner) {
            (Choice::Int, Column::Long(builder, _)) => builder.append_value(input.int()?.into()),
            (Choice::Float, Column::Double(builder)) => {
                builder.append_value(input.float()?.into());
            }
            (Choice::Member(chosen), Column::Record(record)) => {
                input.make(record.columns.saturating_mul(NULL_BYTES))?;
                for (at, member) in record.members.iter_mut().enumerate() {
                    if at == *chosen {
                        member.append(input)?;
                    } else {
                        member.append_null();
                    }
                }
                record.end_row();
            }
            (Choice::Null, inner) => {
                input.make(inner.columns().saturating_mul(NULL_BYTES))?;
                inner.append_null();
            }
            (_, inner) => inner.append(input)?,
        }
        Ok(())
    }
}

/// Says of numbers what they count.
fn as_type(
    numbers: &dyn arrow::array::Array,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let data = numbers.to_data().into_builder().data_type(data_type.clone()).build()?;
    Ok(make_array(data))
}

/// Returns a number in two's complement, the highest byte first, with as many bytes as fit.
fn number<const N: usize>(
    input: &mut Input<'_>,
    length: Option<usize>,
) -> Result<[u8; N], Problem> {
    let bytes = match length {
        Some(length) => input.take(length)?,
        None => input.bytes()?,
    };
    let is_negative = bytes.first().is_some_and(|first| 0x80 <= *first);
    let sign = if is_negative { 0xff } else { 0 };
    let mut number = [sign; N];
    let (above, below) = bytes.split_at(bytes.len().saturating_sub(N));
    let at = N - below.len();
    number.get_mut(at..).unwrap_or_default().copy_from_slice(below);
    // What is above must be no more than the sign, and so must be the highest bit that is left.
    let is_kept = above.iter().all(|byte| *byte == sign)
        && (above.is_empty() || (0x80 <= number[0]) == is_negative);
    if is_kept { Ok(number) } else { Err(Problem::Decimal) }
}

/// Returns the text of a UUID in bytes.
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
