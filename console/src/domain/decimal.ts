// Exact decimal arithmetic on text. Prices never pass through a float on their way to the eye.

/** `units / 10^scale`. */
export interface Decimal {
  units: bigint;
  scale: number;
}

const PATTERN = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** Parses plain decimal text; null for anything else. */
export function parseDecimal(text: string | null | undefined): Decimal | null {
  const match = text == null ? null : PATTERN.exec(text.trim());
  if (!match) return null;
  const fraction = match[3] ?? '';
  const units = BigInt(`${match[2]}${fraction}`);
  return { units: match[1] === '-' ? -units : units, scale: fraction.length };
}

function align(a: Decimal, b: Decimal): [bigint, bigint, number] {
  const scale = Math.max(a.scale, b.scale);
  const up = (value: Decimal): bigint => value.units * 10n ** BigInt(scale - value.scale);
  return [up(a), up(b), scale];
}

export function add(a: Decimal, b: Decimal): Decimal {
  const [left, right, scale] = align(a, b);
  return { units: left + right, scale };
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  const [left, right, scale] = align(a, b);
  return { units: left - right, scale };
}

/** Negative, zero or positive, as `a` is below, equal to or above `b`. */
export function compare(a: Decimal, b: Decimal): number {
  const [left, right] = align(a, b);
  return left < right ? -1 : left > right ? 1 : 0;
}

function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const half = divisor / 2n;
  return dividend < 0n ? -((-dividend + half) / divisor) : (dividend + half) / divisor;
}

/** Rounds half away from zero to `scale` digits after the point. */
export function round(value: Decimal, scale: number): Decimal {
  if (value.scale <= scale) {
    return { units: value.units * 10n ** BigInt(scale - value.scale), scale };
  }
  return { units: divideRounded(value.units, 10n ** BigInt(value.scale - scale)), scale };
}

/** `change / base` in percent with two digits; null when the base is not positive. */
export function percentOf(change: Decimal, base: Decimal): Decimal | null {
  const [dividend, divisor] = align(change, base);
  if (divisor <= 0n) return null;
  return { units: divideRounded(dividend * 10_000n, divisor), scale: 2 };
}

export function toText(value: Decimal): string {
  const digits = (value.units < 0n ? -value.units : value.units).toString().padStart(value.scale + 1, '0');
  const point = digits.length - value.scale;
  const sign = value.units < 0n ? '-' : '';
  return sign + digits.slice(0, point) + (value.scale > 0 ? `.${digits.slice(point)}` : '');
}

export function compareText(a: string, b: string): number {
  const left = parseDecimal(a);
  const right = parseDecimal(b);
  return left && right ? compare(left, right) : 0;
}

/** The greater of two decimal texts, as written. */
export function maxText(a: string, b: string): string {
  return compareText(a, b) >= 0 ? a : b;
}

/** The smaller of two decimal texts, as written. */
export function minText(a: string, b: string): string {
  return compareText(a, b) <= 0 ? a : b;
}

/** The sum of two volumes; an unknown one is left out, and null if both are. */
export function addVolumes(a: string | null, b: string | null): string | null {
  const left = parseDecimal(a);
  const right = parseDecimal(b);
  if (left && right) return toText(add(left, right));
  return left ? a : right ? b : null;
}
