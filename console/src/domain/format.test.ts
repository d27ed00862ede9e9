// What the eye sees is what the server said.
import { describe, expect, it } from 'vitest';
import {
  changeBetween, directionOf, formatBytes, formatCompact, formatDuration, formatPrice, formatSigned, formatVolume,
} from './format';

describe('formats', () => {
  it('trims zeros of a price to two digits and groups thousands', () => {
    expect(formatPrice('189.430000')).toBe('189.43');
    expect(formatPrice('189.4')).toBe('189.40');
    expect(formatPrice('1234567.012300')).toBe('1,234,567.0123');
    expect(formatPrice('-0.5')).toBe('\u22120.50');
    expect(formatPrice(null)).toBe('–');
  });

  it('shows volumes whole', () => {
    expect(formatVolume('12345678.0000')).toBe('12,345,678');
    expect(formatVolume('0.5000')).toBe('0.5');
  });

  it('shortens volumes for narrow places', () => {
    expect(formatCompact('999')).toBe('999');
    expect(formatCompact('1234.0000')).toBe('1.2K');
    expect(formatCompact('12345678')).toBe('12.3M');
    expect(formatCompact('123456789')).toBe('123M');
  });

  it('carries the direction in the sign', () => {
    expect(formatSigned('1.2')).toBe('+1.20');
    expect(formatSigned('-1.2')).toBe('\u22121.20');
    expect(formatSigned('0.00')).toBe('0.00');
    expect([directionOf('0.01'), directionOf('-0.01'), directionOf('0.00'), directionOf(null)])
      .toEqual(['up', 'down', 'flat', 'flat']);
  });

  it('computes the change exactly', () => {
    expect(changeBetween('189.43', '188.230000')).toEqual({ amount: '1.200000', percent: '0.64' });
    expect(changeBetween('189.43', null)).toBeNull();
  });

  it('names durations and sizes', () => {
    expect([412, 3240, 250_000, 7_500_000, 270_000_000].map(formatDuration))
      .toEqual(['412 ms', '3.2 s', '4 min 10 s', '2 h 5 min', '3 d 3 h']);
    expect([0, 512, 1536, 20 * 1024 * 1024].map(formatBytes)).toEqual(['0 B', '512 B', '1.5 KiB', '20 MiB']);
  });
});
