// The live tail folds whole buckets only, and follows revisions.
import { describe, expect, it } from 'vitest';
import { timed } from './bars';
import { Tail } from './tail';

function minute(time: string, close: string, revision = 0) {
  const start = `2026-11-20T${time}:00Z`;
  return timed({
    ts_start: start, ts_end: new Date(Date.parse(start) + 60_000).toISOString(),
    open: close, high: close, low: close, close, volume: '1', revision,
  });
}

describe('the live tail', () => {
  it('leaves a bucket whose first minutes are unknown to the server', () => {
    const tail = new Tail('5m');
    const folded = tail.load([minute('14:33', '3'), minute('14:34', '4'), minute('14:35', '5')], false);
    expect(folded.map((bar) => bar.ts_start)).toEqual(['2026-11-20T14:35:00.000Z']);
    expect(tail.push([minute('14:34', '9', 1)])).toEqual([]);
  });

  it('folds the first bucket when the server has no older minutes', () => {
    const folded = new Tail('5m').load([minute('14:33', '3'), minute('14:34', '4')], true);
    expect(folded).toHaveLength(1);
    expect(folded[0]).toMatchObject({ open: '3', close: '4', volume: '2' });
  });

  it('replaces a revised minute instead of counting it twice', () => {
    const tail = new Tail('5m');
    tail.load([minute('14:30', '1'), minute('14:31', '2')], true);
    expect(tail.push([minute('14:31', '7', 1)])[0]).toMatchObject({ high: '7', close: '7', volume: '2' });
    expect(tail.push([minute('14:35', '8')])[0]).toMatchObject({ open: '8', close: '8', volume: '1' });
  });

  it('ignores bars longer than its own interval, and bars outside of sessions', () => {
    const tail = new Tail('1m');
    const long = { ...minute('14:30', '1'), ts_end: '2026-11-20T14:35:00Z' };
    expect(tail.push([long, minute('14:29', '1')])).toEqual([]);
  });

  it('starts from nothing', () => {
    const tail = new Tail('15m');
    expect(tail.load([], true)).toEqual([]);
    expect(tail.push([minute('14:31', '2')])).toHaveLength(1);
  });
});
