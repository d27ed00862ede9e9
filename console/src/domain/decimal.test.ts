// Decimal text stays exact, whatever a float would have made of it.
import { describe, expect, it } from 'vitest';
import { add, addVolumes, compareText, maxText, minText, parseDecimal, percentOf, round, subtract, toText } from './decimal';

const decimal = (text: string) => parseDecimal(text)!;

describe('decimal text', () => {
  it('keeps every digit', () => {
    for (const text of ['0', '0.10', '-0.000001', '123456789012.123456', '189.430000']) {
      expect(toText(decimal(text))).toBe(text);
    }
  });

  it('refuses what is no plain decimal', () => {
    for (const text of ['', 'NaN', '1e5', '1.', '.5', '1,000', null, undefined]) {
      expect(parseDecimal(text), String(text)).toBeNull();
    }
  });

  it('adds and subtracts without a float', () => {
    expect(toText(add(decimal('0.1'), decimal('0.2')))).toBe('0.3');
    expect(toText(subtract(decimal('189.43'), decimal('190.000001')))).toBe('-0.570001');
  });

  it('rounds half away from zero', () => {
    expect(toText(round(decimal('1.005'), 2))).toBe('1.01');
    expect(toText(round(decimal('-1.005'), 2))).toBe('-1.01');
    expect(toText(round(decimal('7'), 2))).toBe('7.00');
  });

  it('gives a percentage of a positive base only', () => {
    expect(toText(percentOf(decimal('1.20'), decimal('188.80'))!)).toBe('0.64');
    expect(toText(percentOf(decimal('-0.005'), decimal('100'))!)).toBe('-0.01');
    expect(percentOf(decimal('1'), decimal('0'))).toBeNull();
  });

  it('compares across scales', () => {
    expect(compareText('9.5', '10')).toBe(-1);
    expect(maxText('9.50', '10')).toBe('10');
    expect(minText('9.50', '10')).toBe('9.50');
    expect(compareText('1.0', '1')).toBe(0);
  });

  it('leaves an unknown volume out of a sum', () => {
    expect(addVolumes('100.0000', '20')).toBe('120.0000');
    expect(addVolumes(null, '20')).toBe('20');
    expect(addVolumes(null, null)).toBeNull();
  });
});
