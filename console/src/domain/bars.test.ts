// Sessions, buckets, folding, merging, holes.
import { describe, expect, it } from 'vitest';
import type { Bar } from '../api/types';
import { foldBars, mergeBars, mergeRevisions, missingStarts, timed } from './bars';
import { bucketAt, sessionAt } from './session';

function bar(start: string, close: string, more: Partial<Bar> = {}) {
  return timed({
    ts_start: start, ts_end: new Date(Date.parse(start) + 60_000).toISOString(),
    open: close, high: close, low: close, close, volume: '10', revision: 0, ...more,
  });
}

describe('sessions', () => {
  it('opens at 9:30 in New York, in summer and in winter', () => {
    expect(sessionAt(Date.parse('2026-07-01T13:29:59Z'))).toBeNull();
    expect(sessionAt(Date.parse('2026-07-01T13:30:00Z'))?.closeMs).toBe(Date.parse('2026-07-01T20:00:00Z'));
    expect(sessionAt(Date.parse('2026-11-20T14:29:59Z'))).toBeNull();
    expect(sessionAt(Date.parse('2026-11-20T14:30:00Z'))?.openMs).toBe(Date.parse('2026-11-20T14:30:00Z'));
    expect(sessionAt(Date.parse('2026-11-20T21:00:00Z'))).toBeNull();
    expect(sessionAt(Date.parse('2026-11-21T15:00:00Z'))).toBeNull();
  });

  it('anchors buckets at the open and cuts the last at the close', () => {
    const last = bucketAt(Date.parse('2026-11-20T20:45:00Z'), '1h');
    expect(last).toEqual({ startMs: Date.parse('2026-11-20T20:30:00Z'), endMs: Date.parse('2026-11-20T21:00:00Z') });
    const day = bucketAt(Date.parse('2026-11-20T20:45:00Z'), '1d');
    expect(day).toEqual({ startMs: Date.parse('2026-11-20T14:30:00Z'), endMs: Date.parse('2026-11-20T21:00:00Z') });
  });
});

describe('folding', () => {
  it('takes the first open, the extremes, the last close and the sum of volumes', () => {
    const folded = foldBars([
      bar('2026-11-20T14:30:00Z', '10', { open: '9.5', high: '10.5', low: '9' }),
      bar('2026-11-20T14:31:00Z', '11', { high: '12', volume: null, revision: 2 }),
      bar('2026-11-20T14:34:00Z', '10.25', { volume: '5.5' }),
      bar('2026-11-20T14:35:00Z', '10.75'),
    ], '5m');
    expect(folded).toHaveLength(2);
    expect(folded[0]).toMatchObject({
      open: '9.5', high: '12', low: '9', close: '10.25', volume: '15.5', revision: 2,
      startMs: Date.parse('2026-11-20T14:30:00Z'), ts_end: '2026-11-20T14:35:00.000Z',
    });
  });

  it('leaves bars outside of the regular session out', () => {
    expect(foldBars([bar('2026-11-20T14:29:00Z', '10'), bar('2026-11-20T21:00:00Z', '10')], '1h')).toEqual([]);
  });

  it('keeps a volume unknown when every part is', () => {
    expect(foldBars([bar('2026-11-20T14:30:00Z', '1', { volume: null })], '5m')[0]?.volume).toBeNull();
  });
});

describe('merging', () => {
  const first = bar('2026-11-20T14:30:00Z', '10');
  const third = bar('2026-11-20T14:32:00Z', '12');
  const bars = [first, third];

  it('inserts in order and replaces by start', () => {
    const merged = mergeBars(bars, [bar('2026-11-20T14:31:00Z', '11'), bar('2026-11-20T14:32:00Z', '13', { revision: 1 })]);
    expect(merged.map((b) => b.close)).toEqual(['10', '11', '13']);
    expect(merged[0]).toBe(first);
    expect(bars).toEqual([first, third]);
  });

  it('never goes back to an older revision', () => {
    const newest = bar('2026-11-20T14:32:00Z', '13', { revision: 4 });
    const older = bar('2026-11-20T14:32:00Z', '12', { revision: 3 });
    expect(mergeRevisions([newest], [older])[0]).toBe(newest);
    expect(mergeRevisions([older], [newest])[0]).toBe(newest);
  });

  it('returns the same list when nothing changed', () => {
    expect(mergeBars(bars, [bar('2026-11-20T14:32:00Z', '12')])).toBe(bars);
  });
});

describe('holes', () => {
  it('are found within a session and never across one', () => {
    const bars = [
      bar('2026-11-19T20:59:00Z', '1'), bar('2026-11-20T14:30:00Z', '1'), bar('2026-11-20T14:33:00Z', '1'),
    ];
    expect(missingStarts(bars, '1m')).toEqual([
      Date.parse('2026-11-20T14:31:00Z'), Date.parse('2026-11-20T14:32:00Z'),
    ]);
    expect(missingStarts(bars, '1d')).toEqual([]);
  });
});
