//! Reading a text by a pattern.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};

use super::{Field, Item, Length, Number, OffsetDetail, OffsetShape, TimePattern};
use crate::files::options::zone::{Zone, clock_part, leading_digits};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("Monday", Weekday::Mon),
    ("Tuesday", Weekday::Tue),
    ("Wednesday", Weekday::Wed),
    ("Thursday", Weekday::Thu),
    ("Friday", Weekday::Fri),
    ("Saturday", Weekday::Sat),
    ("Sunday", Weekday::Sun),
];

/// Letters of a short name, of months and of weekdays.
const SHORT_NAME: usize = 3;

/// What a text said of a time. What it left out is 1970, January, the first, midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedTime {
    /// The day.
    pub date: NaiveDate,
    /// The time of day.
    pub time: NaiveTime,
    /// The zone, if the text named one.
    pub zone: Option<Zone>,
}

impl ParsedTime {
    /// Returns the date and time as written, whatever the zone.
    #[must_use]
    pub fn local(&self) -> NaiveDateTime {
        self.date.and_time(self.time)
    }

    /// Returns the moment, in `zone` unless the text named its own.
    #[must_use]
    pub fn moment(&self, zone: Zone) -> Option<DateTime<Utc>> {
        self.zone.unwrap_or(zone).moment(self.local())
    }
}

impl TimePattern {
    /// Reads a text that is nothing but a time of this pattern.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<ParsedTime> {
        let mut fields = Fields::default();
        let rest = fields.read_all(&self.items, text)?;
        if rest.is_empty() { fields.resolve() } else { None }
    }
}

/// The fields read so far. A field that is read twice has to say the same twice.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    weekday: Option<Weekday>,
    hour: Option<u32>,
    half_day_hour: Option<u32>,
    is_afternoon: Option<bool>,
    minute: Option<u32>,
    second: Option<u32>,
    nanosecond: Option<u32>,
    zone: Option<Zone>,
}

impl Fields {
    /// Returns what is left of the text behind these items.
    fn read_all<'t>(&mut self, items: &[Item], text: &'t str) -> Option<&'t str> {
        let mut rest = text;
        for item in items {
            rest = self.read(item, rest)?;
        }
        Some(rest)
    }

    fn read<'t>(&mut self, item: &Item, text: &'t str) -> Option<&'t str> {
        match item {
            Item::Letter(letter) => {
                let mut rest = text.chars();
                rest.next()?.eq_ignore_ascii_case(letter).then_some(rest.as_str())
            }
            Item::Number(number) => {
                let (value, rest) = written_number(*number, text)?;
                self.take(number.field, value)?;
                Some(rest)
            }
            Item::Fraction(digits_max) => {
                let (digits, rest) = leading_digits(text, *digits_max);
                let scale =
                    10_u32.checked_pow(9_u32.checked_sub(digits.len().try_into().ok()?)?)?;
                let nanosecond = digits.parse::<u32>().ok()?.checked_mul(scale)?;
                once(&mut self.nanosecond, nanosecond)?;
                Some(rest)
            }
            Item::MonthName(length) => {
                let (index, rest) = name(&MONTHS, *length, text)?;
                once(&mut self.month, u32::try_from(index).ok()? + 1)?;
                Some(rest)
            }
            Item::WeekdayName(length) => {
                let (index, rest) = name(&WEEKDAYS.map(|(name, _)| name), *length, text)?;
                once(&mut self.weekday, WEEKDAYS.get(index)?.1)?;
                Some(rest)
            }
            Item::HalfDay => {
                let (half, rest) = text.split_at_checked(2)?;
                let is_afternoon = half.eq_ignore_ascii_case("PM");
                once(&mut self.is_afternoon, is_afternoon)?;
                (is_afternoon || half.eq_ignore_ascii_case("AM")).then_some(rest)
            }
            Item::Offset(shape) => {
                let (zone, rest) = offset(*shape, text)?;
                once(&mut self.zone, zone)?;
                Some(rest)
            }
            Item::NamedOffset | Item::ZoneId | Item::ZoneName => {
                let (zone, rest) = named_zone(item, text)?;
                once(&mut self.zone, zone)?;
                Some(rest)
            }
            Item::Optional(items) => {
                let mut tried = *self;
                let Some(rest) = tried.read_all(items, text) else { return Some(text) };
                *self = tried;
                Some(rest)
            }
        }
    }

    fn take(&mut self, field: Field, value: i32) -> Option<()> {
        let within = |least: u32, most: u32| {
            u32::try_from(value).ok().filter(|value| (least..=most).contains(value))
        };
        match field {
            Field::Year => once(&mut self.year, value),
            Field::ShortYear => once(&mut self.year, 2000 + value),
            Field::Month => once(&mut self.month, within(1, 12)?),
            Field::Day => once(&mut self.day, within(1, 31)?),
            Field::DayOfYear => once(&mut self.day_of_year, within(1, 366)?),
            Field::Hour => once(&mut self.hour, within(0, 23)?),
            Field::ClockHour => once(&mut self.hour, within(1, 24)? % 24),
            Field::HalfDayHour => once(&mut self.half_day_hour, within(0, 11)?),
            Field::HalfDayClockHour => once(&mut self.half_day_hour, within(1, 12)? % 12),
            Field::Minute => once(&mut self.minute, within(0, 59)?),
            Field::Second => once(&mut self.second, within(0, 59)?),
        }
    }

    /// Makes a time of the fields, or nothing of those that contradict each other.
    fn resolve(self) -> Option<ParsedTime> {
        let year = self.year.unwrap_or(1970);
        let date = match self.day_of_year {
            Some(ordinal) => NaiveDate::from_yo_opt(year, ordinal)?,
            None => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let agrees = self.weekday.is_none_or(|weekday| weekday == date.weekday())
            && self.month.is_none_or(|month| month == date.month())
            && self.day.is_none_or(|day| day == date.day());
        let afternoon = if self.is_afternoon == Some(true) { 12 } else { 0 };
        let by_half = self.half_day_hour.unwrap_or(0) + afternoon;
        let hour = self.hour.unwrap_or(by_half);
        let agrees = agrees
            && self.half_day_hour.is_none_or(|half| half == hour % 12)
            && self.is_afternoon.is_none_or(|is_afternoon| is_afternoon == (12 <= hour));
        let (minute, second) = (self.minute.unwrap_or(0), self.second.unwrap_or(0));
        let nanosecond = self.nanosecond.unwrap_or(0);
        let time = NaiveTime::from_hms_nano_opt(hour, minute, second, nanosecond)?;
        agrees.then_some(ParsedTime { date, time, zone: self.zone })
    }
}

/// Sets a field, unless it says something else already.
fn once<T: PartialEq + Copy>(slot: &mut Option<T>, value: T) -> Option<()> {
    (*slot.get_or_insert(value) == value).then_some(())
}

fn written_number(number: Number, text: &str) -> Option<(i32, &str)> {
    let is_signed = number.field == Field::Year;
    let sign = text.chars().next().filter(|letter| is_signed && matches!(letter, '+' | '-'));
    let unsigned = if sign.is_some() { text.get(1..)? } else { text };
    let (run, _) = leading_digits(unsigned, number.digits_max + number.reserved);
    let count = run.len().saturating_sub(number.reserved).max(number.digits_min);
    let (digits, rest) = unsigned.split_at_checked(count.min(number.digits_max))?;
    let is_long = number.digits_min < digits.len();
    let is_sound = digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.is_empty()
        // A longer year than its letters says so by a plus, or another one would be read.
        && (sign != Some('+') || is_long)
        && (!is_signed || number.digits_min < 4 || !is_long || sign.is_some());
    let value: i32 = digits.parse().ok().filter(|_| is_sound)?;
    Some((if sign == Some('-') { -value } else { value }, rest))
}

/// Finds the name that the text begins with.
fn name<'t>(names: &[&str], length: Length, text: &'t str) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let shown = match length {
            Length::Short => name.get(..SHORT_NAME)?,
            Length::Full => name,
        };
        let (found, rest) = text.split_at_checked(shown.len())?;
        found.eq_ignore_ascii_case(shown).then_some((index, rest))
    })
}

fn offset(shape: OffsetShape, text: &str) -> Option<(Zone, &str)> {
    if shape.has_z
        && let Some(rest) = text.strip_prefix(['Z', 'z'])
    {
        return Some((Zone::utc(), rest));
    }
    let is_west = text.starts_with('-');
    let (hours, mut rest) = clock_part(false, text.strip_prefix(['+', '-'])?)?;
    let (mut minutes, mut seconds) = (0, 0);
    match clock_part(shape.has_colons, rest) {
        Some((value, after)) => (minutes, rest) = (value, after),
        None if shape.detail == OffsetDetail::MayHaveMinutes => (),
        None => return None,
    }
    if shape.detail == OffsetDetail::MayHaveSeconds
        && let Some((value, after)) = clock_part(shape.has_colons, rest)
    {
        (seconds, rest) = (value, after);
    }
    Some((Zone::at(is_west, hours, minutes, seconds)?, rest))
}

/// Reads the longest run of letters that a zone's name may have.
fn named_zone<'t>(item: &Item, text: &'t str) -> Option<(Zone, &'t str)> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_+-:".contains(byte);
    let (name, rest) = text.split_at(text.bytes().take_while(is_part).count());
    let zone = match item {
        Item::ZoneName => Zone::read_name(name)?,
        Item::NamedOffset if !name.starts_with("GMT") && !name.starts_with("UTC") => return None,
        _ => Zone::read(name)?,
    };
    Some((zone, rest))
}
