// Regular trading sessions in New York, and the bucket of a session that a moment belongs to.
// Holidays and early closes are the server's knowledge: no bar arrives then, so none is needed here.
import type { Interval } from '../api/types';

export const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const OPEN_MS = 9.5 * HOUR_MS;
const CLOSE_MS = 16 * HOUR_MS;
/** Some months of hours; the map starts afresh beyond it. */
const CACHE_MAX = 4096;

export interface Session {
  openMs: number;
  closeMs: number;
}

export interface Bucket {
  startMs: number;
  endMs: number;
}

export const INTERVAL_MS: Record<Interval, number> = {
  '1m': MINUTE_MS,
  '5m': 5 * MINUTE_MS,
  '15m': 15 * MINUTE_MS,
  '1h': HOUR_MS,
  '1d': DAY_MS,
};

const newYork = new Intl.DateTimeFormat('en-US', {
  timeZone: 'America/New_York', hourCycle: 'h23',
  year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric',
});
const offsets = new Map<number, number>();

/** New York's offset from UTC at a moment; negative. The zone changes only on whole hours. */
export function newYorkOffset(ms: number): number {
  const hour = Math.floor(ms / HOUR_MS);
  const known = offsets.get(hour);
  if (known !== undefined) return known;
  const part = Object.fromEntries(newYork.formatToParts(hour * HOUR_MS).map((p) => [p.type, Number(p.value)]));
  const local = Date.UTC(part['year']!, part['month']! - 1, part['day'], part['hour'], part['minute']);
  if (offsets.size >= CACHE_MAX) offsets.clear();
  offsets.set(hour, local - hour * HOUR_MS);
  return local - hour * HOUR_MS;
}

/** The regular session a moment falls into; null outside of it. */
export function sessionAt(ms: number): Session | null {
  const offset = newYorkOffset(ms);
  const local = ms + offset;
  const midnight = Math.floor(local / DAY_MS) * DAY_MS;
  const weekday = new Date(midnight).getUTCDay();
  const time = local - midnight;
  if (weekday === 0 || weekday === 6 || time < OPEN_MS || time >= CLOSE_MS) return null;
  // Clocks change on Sunday nights only, so one offset holds for the whole session.
  return { openMs: midnight + OPEN_MS - offset, closeMs: midnight + CLOSE_MS - offset };
}

/** The bucket of the session, anchored at the open and cut at the close; null outside of a session. */
export function bucketAt(ms: number, interval: Interval): Bucket | null {
  const session = sessionAt(ms);
  if (!session) return null;
  const length = INTERVAL_MS[interval];
  const startMs = session.openMs + Math.floor((ms - session.openMs) / length) * length;
  return { startMs, endMs: Math.min(startMs + length, session.closeMs) };
}
