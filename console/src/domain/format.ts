// Text for the eye. Decimals are grouped and trimmed as text; no digit is rounded away unseen.
import { parseDecimal, percentOf, round, subtract, toText } from './decimal';

/** A no-break stand-in for a value that is not known. */
export const UNKNOWN = '–';
const MINUS = '\u2212';

function group(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Groups thousands and drops trailing zeros beyond `digits_min` digits after the point. */
export function formatDecimal(text: string | null | undefined, digitsMin: number): string {
  const value = parseDecimal(text);
  if (!value) return UNKNOWN;
  const [whole = '0', fraction = ''] = toText({ ...value, units: value.units < 0n ? -value.units : value.units }).split('.');
  const kept = fraction.replace(/0+$/, '').padEnd(digitsMin, '0');
  return `${value.units < 0n ? MINUS : ''}${group(whole)}${kept ? `.${kept}` : ''}`;
}

export const formatPrice = (text: string | null | undefined): string => formatDecimal(text, 2);

export const formatVolume = (text: string | null | undefined): string => formatDecimal(text, 0);

/** Three or four digits and a unit, such as `12.3M`; for places where the whole number is near. */
export function formatCompact(text: string | null | undefined): string {
  const value = parseDecimal(text);
  if (!value) return UNKNOWN;
  const whole = toText(round(value, 0));
  const steps: [number, string][] = [[12, 'T'], [9, 'B'], [6, 'M'], [3, 'K']];
  for (const [power, unit] of steps) {
    if (whole.replace('-', '').length > power) {
      const scaled = { units: value.units, scale: value.scale + power };
      const digits = whole.replace('-', '').length - power >= 3 ? 0 : 1;
      return formatDecimal(toText(round(scaled, digits)), digits) + unit;
    }
  }
  return formatDecimal(whole, 0);
}

/** `▲ +1.20`, `▼ −0.35`, or `0.00`: the direction is in the sign, not only in the color. */
export function formatSigned(text: string | null | undefined): string {
  const value = parseDecimal(text);
  if (!value) return UNKNOWN;
  return (value.units > 0n ? '+' : '') + formatDecimal(text, 2);
}

export type Direction = 'up' | 'down' | 'flat';

export function directionOf(text: string | null | undefined): Direction {
  const value = parseDecimal(text);
  if (!value || value.units === 0n) return 'flat';
  return value.units > 0n ? 'up' : 'down';
}

export const ARROWS: Record<Direction, string> = { up: '▲', down: '▼', flat: '•' };

export interface Change {
  amount: string;
  percent: string | null;
}

/** The exact change from `base` to `price`, with the percentage rounded to two digits. */
export function changeBetween(price: string | null, base: string | null): Change | null {
  const to = parseDecimal(price);
  const from = parseDecimal(base);
  if (!to || !from) return null;
  const amount = subtract(to, from);
  const percent = percentOf(amount, from);
  return { amount: toText(amount), percent: percent && toText(percent) };
}

export const formatCount = (count: number): string => group(Math.trunc(count).toString());

/** Binary units, as the file systems count. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** A duration in its two largest units: `412 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const value = Math.max(0, ms);
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${(Math.floor(value / 100) / 10).toFixed(1)} s`;
  const units: [number, string][] = [[86_400_000, 'd'], [3_600_000, 'h'], [60_000, 'min'], [1000, 's']];
  const at = units.findIndex(([length]) => value >= length);
  const [length, name] = units[at] ?? [1000, 's'];
  const whole = Math.floor(value / length);
  const [nextLength, nextName] = units[at + 1] ?? [1, ''];
  const rest = Math.floor((value - whole * length) / nextLength);
  return rest > 0 ? `${whole} ${name} ${rest} ${nextName}` : `${whole} ${name}`;
}
