// Times in the zone the reader picked: the exchange's or UTC.

export type Zone = 'exchange' | 'utc';

export const ZONE_NAMES: Record<Zone, string> = { exchange: 'New York', utc: 'UTC' };
const ZONE_IDS: Record<Zone, string> = { exchange: 'America/New_York', utc: 'UTC' };

const FORMATS = {
  minute: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  second: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  day: { day: 'numeric', month: 'short' },
  month: { month: 'short' },
  year: { year: 'numeric' },
  date: { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' },
  moment: { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  full: {
    day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  },
} satisfies Record<string, Intl.DateTimeFormatOptions>;

export type TimeFormat = keyof typeof FORMATS;

const formatters = new Map<string, Intl.DateTimeFormat>();

/** Formats epoch milliseconds. The locale is fixed, so that a screenshot means the same everywhere. */
export function formatTime(ms: number, format: TimeFormat, zone: Zone): string {
  const key = `${format} ${zone}`;
  let formatter = formatters.get(key);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-GB', { ...FORMATS[format], timeZone: ZONE_IDS[zone] });
    formatters.set(key, formatter);
  }
  return formatter.format(ms);
}
