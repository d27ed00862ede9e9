// The live tail folds whole buckets only, and follows revisions.
import { describe, expect, it } from 'vitest';
import { timed } from './bars';
import { Tail } from './tail';

const DAY = '2026-11-20';

function minute(time: string, close: string, { revision = 0, day = DAY } = {}) {
  const start = `${day}T${time}:00Z`;
  return timed({
    ts_start: start, ts_end: new Date(Date.parse(start) + 60_000).toISOString(),
    open: close, high: close, low: close, close, volume: '1', revision,
  });
}

/** The minute so many minutes after the open. */
function minuteOf(day: string, at: number) {
  return minute(new Date(Date.parse(`${day}T14:30:00Z`) + at * 60_000).toISOString().slice(11, 16), '1', { day });
}

describe('the live tail', () => {
  it('leaves a bucket whose first minutes are unknown to the server', () => {
    const tail = new Tail('5m');
    const folded = tail.load([minute('14:33', '3'), minute('14:34', '4'), minute('14:35', '5')], false);
    expect(folded.map((bar) => bar.ts_start)).toEqual(['2026-11-20T14:35:00.000Z']);
    expect(tail.fromMs).toBe(Date.parse('2026-11-20T14:35:00Z'));
    expect(tail.push([minute('14:34', '9', { revision: 1 })])).toEqual([]);
  });

  it('folds the first bucket when the server has no older minutes', () => {
    const folded = new Tail('5m').load([minute('14:33', '3'), minute('14:34', '4')], true);
    expect(folded).toHaveLength(1);
    expect(folded[0]).toMatchObject({ open: '3', close: '4', volume: '2' });
  });

  it('replaces a revised minute instead of counting it twice', () => {
    const tail = new Tail('5m');
    tail.load([minute('14:30', '1'), minute('14:31', '2')], true);
    expect(tail.push([minute('14:31', '7', { revision: 1 })])[0]).toMatchObject({ high: '7', close: '7', volume: '2' });
    expect(tail.push([minute('14:35', '8')])[0]).toMatchObject({ open: '8', close: '8', volume: '1' });
  });

  it('ignores bars outside of sessions', () => {
    expect(new Tail('1m').push([minute('14:29', '1')])).toEqual([]);
  });

  it('starts from nothing', () => {
    const tail = new Tail('15m');
    expect(tail.load([], true)).toEqual([]);
    expect(tail.fromMs).toBe(Infinity);
    expect(tail.push([minute('14:31', '2')])).toHaveLength(1);
  });

  it('forgets minutes from before a break, which others may be missing after', () => {
    const tail = new Tail('1d');
    tail.load([minute('14:30', '1', { day: '2026-11-19' }), minute('14:31', '2', { day: '2026-11-19' })], true);
    const folded = tail.load([minute('20:59', '5', { day: '2026-11-19' }), minute('14:30', '6')], false);
    expect(folded.map((bar) => bar.close)).toEqual(['6']);
    expect(tail.push([minute('14:31', '3', { day: '2026-11-19', revision: 1 })])).toEqual([]);
  });

  it('is not made longer by a restated minute from before its first', () => {
    const tail = new Tail('5m');
    tail.load([minute('14:30', '1'), minute('14:31', '2')], false);
    const restated = (time: string) => minute(time, '9', { day: '2026-11-18', revision: 1 });
    expect(tail.push(['15:01', '15:02', '15:03', '15:04', '15:05'].map(restated))).toEqual([]);
    // A little more than it keeps: it looks anew for its first whole bar.
    for (const day of ['2026-11-20', '2026-11-23', '2026-11-24', '2026-11-25']) {
      tail.push(Array.from({ length: 374 }, (_, at) => minuteOf(day, at)));
    }
    expect(tail.push([restated('15:06')])).toEqual([]);
  });
});
