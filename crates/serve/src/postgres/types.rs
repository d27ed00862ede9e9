//! Which PostgreSQL type an Arrow column is served as.

use lake::datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use pgwire::messages::data::FieldDescription;

/// Field metadata that names a type Arrow does not have: `oid`, `name`, `char`.
pub(super) const TYPE_KEY: &str = "postgres_type";

/// PostgreSQL counts dates and times from 2000-01-01.
pub(super) const EPOCH_DAYS: i32 = 10_957;
pub(super) const EPOCH_MICROS: i64 = 10_957 * 86_400 * 1_000_000;

/// A PostgreSQL type as far as this server speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PgType {
    Bool,
    Bytea,
    Char,
    Name,
    Int8,
    Int2,
    Int4,
    Text,
    Oid,
    Float4,
    Float8,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    /// Precision and scale, where declared.
    Numeric(Option<(u8, i8)>),
    /// A list of one of [`ITEMS`].
    Array(&'static Self),
    /// A list as the catalog has them: shown without braces, counted from 0.
    Vector(&'static Self),
}

/// The types that lists are made of, with the OIDs of their arrays.
const ITEMS: &[(PgType, u32)] = &[
    (PgType::Bool, 1000),
    (PgType::Bytea, 1001),
    (PgType::Char, 1002),
    (PgType::Name, 1003),
    (PgType::Int8, 1016),
    (PgType::Int2, 1005),
    (PgType::Int4, 1007),
    (PgType::Text, 1009),
    (PgType::Oid, 1028),
    (PgType::Float4, 1021),
    (PgType::Float8, 1022),
    (PgType::Date, 1182),
    (PgType::Time, 1183),
    (PgType::Timestamp, 1115),
    (PgType::TimestampTz, 1185),
    (PgType::Numeric(None), 1231),
];

impl PgType {
    /// The type a column is served as; what has no counterpart is served as text.
    pub(super) fn of(field: &Field) -> Self {
        match field.metadata().get(TYPE_KEY).map(String::as_str) {
            Some("oid") => Self::Oid,
            Some("name") => Self::Name,
            Some("char") => Self::Char,
            Some("int2vector") => Self::Vector(&Self::Int2),
            Some("oidvector") => Self::Vector(&Self::Oid),
            _ => match field.data_type() {
                DataType::List(item) => Self::array_of(Self::of(item)),
                data_type => Self::of_data_type(data_type),
            },
        }
    }

    /// The array of a type; text for a list of lists.
    fn array_of(item: Self) -> Self {
        let item = if matches!(item, Self::Numeric(_)) { Self::Numeric(None) } else { item };
        let found = ITEMS.iter().find(|(known, _)| *known == item);
        found.map_or(Self::Text, |(known, _)| Self::Array(known))
    }

    /// The OID of the type's array; 0 where it has none.
    fn array_oid(self) -> u32 {
        ITEMS.iter().find(|(item, _)| *item == self).map_or(0, |(_, array)| *array)
    }

    pub(super) fn of_data_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::UInt8 | DataType::Int16 => Self::Int2,
            DataType::UInt16 | DataType::Int32 => Self::Int4,
            DataType::UInt32 | DataType::Int64 => Self::Int8,
            DataType::UInt64 => Self::Numeric(Some((20, 0))),
            DataType::Float16 | DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => Self::Numeric(Some((*precision, *scale))),
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::TimestampTz,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytea,
            _ => Self::Text,
        }
    }

    /// The type of a declared parameter; `None` for types this server does not decode.
    pub(super) const fn from_oid(oid: u32) -> Option<Self> {
        Some(match oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            18 => Self::Char,
            19 => Self::Name,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            25 | 1042 | 1043 | 705 => Self::Text,
            26 => Self::Oid,
            700 => Self::Float4,
            701 => Self::Float8,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::TimestampTz,
            1700 => Self::Numeric(None),
            _ => return None,
        })
    }

    pub(super) fn oid(self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Bytea => 17,
            Self::Char => 18,
            Self::Name => 19,
            Self::Int8 => 20,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Text => 25,
            Self::Oid => 26,
            Self::Float4 => 700,
            Self::Float8 => 701,
            Self::Date => 1082,
            Self::Time => 1083,
            Self::Timestamp => 1114,
            Self::TimestampTz => 1184,
            Self::Numeric(_) => 1700,
            Self::Array(item) => item.array_oid(),
            Self::Vector(Self::Int2) => 22,
            Self::Vector(_) => 30,
        }
    }

    /// `pg_type.typlen`.
    pub(super) const fn size(self) -> i16 {
        match self {
            Self::Bool | Self::Char => 1,
            Self::Int2 => 2,
            Self::Int4 | Self::Oid | Self::Float4 | Self::Date => 4,
            Self::Int8 | Self::Float8 | Self::Time | Self::Timestamp | Self::TimestampTz => 8,
            Self::Name => 64,
            Self::Bytea | Self::Text | Self::Numeric(_) | Self::Array(_) | Self::Vector(_) => -1,
        }
    }

    /// `pg_attribute.atttypmod`: precision and scale of a numeric, else -1.
    pub(super) fn modifier(self) -> i32 {
        match self {
            Self::Numeric(Some((precision, scale))) => {
                ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
            }
            _ => -1,
        }
    }

    /// The name `information_schema` and `format_type` use.
    pub(super) const fn sql_name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Bytea => "bytea",
            Self::Char => "\"char\"",
            Self::Name => "name",
            Self::Int8 => "bigint",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Text => "text",
            Self::Oid => "oid",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Date => "date",
            Self::Time => "time without time zone",
            Self::Timestamp => "timestamp without time zone",
            Self::TimestampTz => "timestamp with time zone",
            Self::Numeric(_) => "numeric",
            Self::Array(_) => "ARRAY",
            Self::Vector(Self::Int2) => "int2vector",
            Self::Vector(_) => "oidvector",
        }
    }

    /// The name in `pg_type`.
    pub(super) const fn catalog_name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Char => "char",
            Self::Int8 => "int8",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Float4 => "float4",
            Self::Float8 => "float8",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            other => other.sql_name(),
        }
    }

    /// The Arrow type a parameter of this type becomes.
    pub(super) fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Bytea => DataType::Binary,
            Self::Char | Self::Name | Self::Text => DataType::Utf8,
            Self::Int8 => DataType::Int64,
            Self::Int2 => DataType::Int16,
            Self::Int4 | Self::Oid => DataType::Int32,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Numeric(Some((precision, scale))) => DataType::Decimal128(precision, scale),
            Self::Array(item) | Self::Vector(item) => DataType::new_list(item.arrow(), true),
            // Room for every price and volume: 18 digits before the point, 20 after it.
            Self::Numeric(None) => DataType::Decimal128(38, 20),
        }
    }
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) pg_type: PgType,
    pub(super) binary: bool,
}

impl Column {
    pub(super) fn describe(&self) -> FieldDescription {
        FieldDescription::new(
            self.name.clone(),
            0,
            0,
            self.pg_type.oid(),
            self.pg_type.size(),
            self.pg_type.modifier(),
            i16::from(self.binary),
        )
    }
}
