// From columns of a result to a drawing: which columns can be drawn, scales, and as few points as are seen.
import type { Column, Row } from '../api/query';

export type Axis = 'time' | 'number';

export interface Point {
  x: number;
  y: number;
}

const TIMES = new Set(['date', 'timestamp without time zone', 'timestamp with time zone']);
const NUMBERS = new Set(['smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric']);

export const isNumber = (column: Column): boolean => NUMBERS.has(column.type);

export function axisOf(column: Column): Axis | null {
  if (TIMES.has(column.type)) return 'time';
  return isNumber(column) ? 'number' : null;
}

/** PostgreSQL's text of a date or time as epoch milliseconds; without a zone it is UTC. */
export function parseTime(text: string): number {
  const iso = text.replace(' ', 'T');
  if (!iso.includes('T')) return Date.parse(`${iso}T00:00:00Z`);
  return Date.parse(/[+-]\d\d$/.test(iso) ? `${iso}:00` : /Z|[+-]\d\d:\d\d$/.test(iso) ? iso : `${iso}Z`);
}

export interface Pair {
  x: number;
  y: number;
}

/** The columns to draw at first: a time if there is one, and the first other number. */
export function firstPair(columns: Column[]): Pair | null {
  const time = columns.findIndex((column) => axisOf(column) === 'time');
  const numbers = columns.flatMap((column, at) => (isNumber(column) ? [at] : []));
  const x = time >= 0 ? time : numbers[0];
  const y = numbers.find((at) => at !== x);
  return x === undefined || y === undefined ? null : { x, y };
}

/** The points in the order of x. A row without one of the two has none. */
export function pointsOf(rows: Row[], columns: Column[], pair: Pair): Point[] {
  const isTime = axisOf(columns[pair.x]!) === 'time';
  const points: Point[] = [];
  for (const row of rows) {
    const [x, y] = [row[pair.x], row[pair.y]];
    if (x == null || y == null) continue;
    const point = { x: isTime ? parseTime(x) : Number(x), y: Number(y) };
    if (Number.isFinite(point.x) && Number.isFinite(point.y)) points.push(point);
  }
  return points.sort((a, b) => a.x - b.x);
}

/** Of each of `buckets` equal spans, the first, lowest, highest and last point: what the eye would see of all. */
export function thin(points: Point[], buckets: number): Point[] {
  if (points.length <= buckets * 4) return points;
  const [low, high] = [points[0]!.x, points.at(-1)!.x];
  const width = (high - low) / buckets || 1;
  const kept: Point[] = [];
  for (let at = 0; at < points.length; ) {
    const bucket = Math.min(buckets - 1, Math.floor((points[at]!.x - low) / width));
    const first = at;
    let [min, max] = [at, at];
    while (at < points.length && Math.min(buckets - 1, Math.floor((points[at]!.x - low) / width)) === bucket) {
      if (points[at]!.y < points[min]!.y) min = at;
      if (points[at]!.y > points[max]!.y) max = at;
      at += 1;
    }
    const seen = [...new Set([first, min, max, at - 1])].sort((a, b) => a - b);
    kept.push(...seen.map((index) => points[index]!));
  }
  return kept;
}

/** Round numbers between `low` and `high`, about `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0) || count < 1) return [low];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const found: number[] = [];
  // Beyond 2^53 steps the next one is the same number.
  for (let at = Math.ceil(low / step); at * step <= high + step / 1e6 && found.length <= 2 * count; at += 1) found.push(at * step);
  return found;
}
