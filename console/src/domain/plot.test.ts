// What is drawn has to be what the rows say.
import { describe, expect, it } from 'vitest';
import { firstPair, parseTime, pointsOf, thin, ticks } from './plot';

const columns = [
  { name: 'symbol', type: 'text' }, { name: 'close', type: 'numeric' }, { name: 'ts', type: 'timestamp with time zone' },
];

describe('columns', () => {
  it('are paired by their types', () => {
    expect(firstPair(columns)).toEqual({ x: 2, y: 1 });
    expect(firstPair([{ name: 'a', type: 'integer' }, { name: 'b', type: 'bigint' }])).toEqual({ x: 0, y: 1 });
    expect(firstPair([{ name: 'a', type: 'integer' }, { name: 'b', type: 'text' }])).toBeNull();
    expect(firstPair([])).toBeNull();
  });

  it('become points in order, without those that lack a value', () => {
    const rows = [['A', '2', '2026-01-05 14:31:00+00'], ['A', null, '2026-01-05 14:32:00+00'], ['A', '1.5', '2026-01-05 14:30:00+00']];
    expect(pointsOf(rows, columns, { x: 2, y: 1 })).toEqual([
      { x: Date.UTC(2026, 0, 5, 14, 30), y: 1.5 }, { x: Date.UTC(2026, 0, 5, 14, 31), y: 2 },
    ]);
  });

  it('have times with a zone, without one, and dates', () => {
    expect(parseTime('2026-01-05 14:30:00+00')).toBe(Date.UTC(2026, 0, 5, 14, 30));
    expect(parseTime('2026-01-05 14:30:00.25')).toBe(Date.UTC(2026, 0, 5, 14, 30, 0, 250));
    expect(parseTime('2026-01-05')).toBe(Date.UTC(2026, 0, 5));
    expect(parseTime('infinity')).toBeNaN();
  });
});

describe('thinning', () => {
  it('keeps ends, peaks and troughs', () => {
    const points = Array.from({ length: 10_000 }, (_, x) => ({ x, y: x === 5_003 ? 99 : x === 7_001 ? -99 : x % 3 }));
    const kept = thin(points, 100);
    expect(kept.length).toBeLessThanOrEqual(400);
    for (const x of [0, 5_003, 7_001, 9_999]) expect(kept.some((point) => point.x === x)).toBe(true);
    expect(kept.map((point) => point.x)).toEqual(kept.map((point) => point.x).sort((a, b) => a - b));
  });

  it('bears one x for all', () => {
    expect(thin(Array.from({ length: 1_000 }, (_, y) => ({ x: 1, y })), 10).length).toBeLessThanOrEqual(4);
  });
});

describe('ticks', () => {
  it('are round', () => {
    expect(ticks(0, 10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticks(98.2, 101.7, 4)).toEqual([99, 100, 101]);
    expect(ticks(3, 3, 4)).toEqual([3]);
  });
});
