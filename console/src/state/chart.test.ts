// What the chart shows is what gold has, whatever the stream brings, misses or restates.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Bar, BarEvent, BarsAnswer, Interval } from '../api/types';
import { foldBars, timed, type TimedBar } from '../domain/bars';
import { bucketAt, INTERVAL_MS, MINUTE_MS } from '../domain/session';
import { ChartData } from './chart.svelte';

vi.mock('../api/client', () => ({ fetchBars: (query: Query) => gold.answer(query), messageOf: String }));

interface Query {
  symbol: string;
  interval: Interval;
  from?: string;
  to?: string;
  limit: number;
}

const at = (text: string): number => Date.parse(`${text}:00Z`);
const iso = (ms: number): string => new Date(ms).toISOString();

/** The tables of one symbol, made of bars of one length as the real ones are. */
class Gold {
  bars = new Map<number, TimedBar>();
  queries: Query[] = [];
  isDown = false;
  /** Held answers say what was true when they were asked for. */
  held: (() => void)[] | null = null;

  constructor(readonly feed: Interval) {}

  /** A bar of the feed, new or restated, as the event that tells of it. */
  put(startMs: number, close: number): BarEvent {
    const revision = (this.bars.get(startMs)?.revision ?? -1) + 1;
    const bar: Bar = {
      ts_start: iso(startMs), ts_end: iso(startMs + INTERVAL_MS[this.feed]),
      open: '100', high: `${Math.max(100, close)}`, low: `${Math.min(100, close)}`, close: `${close}`, volume: '1', revision,
    };
    this.bars.set(startMs, timed(bar));
    return { ...bar, symbol: 'AAPL', mic: 'XNAS', interval: this.feed };
  }

  /** Bars of the feed in `[from, to)`, as far as there are sessions. */
  fill(from: string, to: string): BarEvent[] {
    const events: BarEvent[] = [];
    for (let ms = at(from); ms < at(to); ms += INTERVAL_MS[this.feed]) {
      if (bucketAt(ms, '1m')) events.push(this.put(ms, 100 + (ms / MINUTE_MS) % 7));
    }
    return events;
  }

  all(interval: Interval): TimedBar[] {
    if (INTERVAL_MS[interval] < INTERVAL_MS[this.feed]) return [];
    return foldBars([...this.bars.values()].sort((a, b) => a.startMs - b.startMs), interval);
  }

  answer(query: Query): Promise<BarsAnswer> {
    this.queries.push(query);
    if (this.isDown) return Promise.reject(new Error('down'));
    const from = Date.parse(query.from ?? '') || -Infinity;
    const to = Date.parse(query.to ?? '') || Infinity;
    const bars = this.all(query.interval).filter((bar) => bar.startMs >= from && bar.startMs < to).slice(-query.limit);
    const answer = { symbol: query.symbol, interval: query.interval, bars };
    const { held } = this;
    return held ? new Promise((resolve) => held.push(() => resolve(answer))) : Promise.resolve(answer);
  }

  release(): void {
    const held = this.held ?? [];
    this.held = null;
    held.forEach((resolve) => resolve());
  }
}

let gold: Gold;
let data: ChartData;

const closes = (bars: readonly TimedBar[] | undefined): string[] =>
  (bars ?? []).map((bar) => `${iso(bar.startMs)} ${bar.open} ${bar.high} ${bar.low} ${bar.close} ${bar.volume}`);

/** The view has no bar wrong and, from its first one on, none too few. */
function expectGold(interval: Interval): void {
  const bars = data.view?.bars ?? [];
  const whole = gold.all(interval);
  expect(closes(bars)).toEqual(closes(whole.slice(whole.length - bars.length)));
  expect(bars.length).toBeGreaterThan(0);
}

/** Gold is asked once it is sure to have followed. */
const soon = (): Promise<unknown> => vi.advanceTimersByTimeAsync(2_000);

beforeEach(() => {
  vi.useFakeTimers();
  data = new ChartData();
});

afterEach(() => {
  data.close();
  vi.useRealTimers();
});

describe('a feed of quarter hours', () => {
  beforeEach(() => {
    gold = new Gold('15m');
    gold.fill('2026-11-18T14:30', '2026-11-20T16:15');
  });

  for (const interval of ['15m', '1h', '1d'] as const) {
    it(`keeps the bars of ${interval} right from its first event on`, async () => {
      await data.open('AAPL', interval);
      const before = closes(data.view?.bars);
      data.apply(gold.fill('2026-11-20T16:15', '2026-11-20T16:30'));
      expect(closes(data.view?.bars)).toEqual(before);
      await soon();
      expectGold(interval);
      expect(closes(data.view?.bars)).not.toEqual(before);
    });
  }

  it('asks nothing for an interval that it cannot change', async () => {
    await data.open('AAPL', '5m');
    gold.queries = [];
    data.apply(gold.fill('2026-11-20T16:15', '2026-11-20T16:30'));
    await soon();
    expect(gold.queries).toEqual([]);
    expect(data.view?.bars).toEqual([]);
  });

  it('asks once for a burst, and once more for what came when gold was being asked', async () => {
    await data.open('AAPL', '15m');
    gold.queries = [];
    data.apply(gold.fill('2026-11-20T16:15', '2026-11-20T16:45'));
    await vi.advanceTimersByTimeAsync(1_400);
    data.apply(gold.fill('2026-11-20T16:45', '2026-11-20T17:00'));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(gold.queries.filter((query) => query.interval === '15m')).toHaveLength(2);
    expectGold('15m');
  });

  it('shows a restated bar of days ago', async () => {
    await data.open('AAPL', '15m');
    data.apply([gold.put(at('2026-11-18T15:00'), 180)]);
    await soon();
    expectGold('15m');
  });
});

describe('a feed of minutes', () => {
  beforeEach(() => {
    gold = new Gold('1m');
    gold.fill('2026-11-13T14:30', '2026-11-20T15:00');
  });

  it('is followed without asking', async () => {
    await data.open('AAPL', '15m');
    gold.queries = [];
    data.apply(gold.fill('2026-11-20T15:00', '2026-11-20T15:40'));
    data.apply([gold.put(at('2026-11-20T15:20'), 90)]);
    expectGold('15m');
    await soon();
    expect(gold.queries).toEqual([]);
  });

  for (const interval of ['1m', '5m', '1h', '1d'] as const) {
    it(`leaves no hole in the bars of ${interval} after a break of four hours`, async () => {
      await data.open('AAPL', interval);
      gold.fill('2026-11-20T15:00', '2026-11-20T19:00');
      await data.mend();
      expectGold(interval);
    });

    it(`leaves no hole in the bars of ${interval} after a break of days`, async () => {
      await data.open('AAPL', interval);
      gold.fill('2026-11-20T15:00', '2026-11-25T19:00');
      await data.mend();
      expectGold(interval);
      data.apply(gold.fill('2026-11-25T19:00', '2026-11-25T19:03'));
      expectGold(interval);
    });

    it(`mends a break in the bars of ${interval} that nobody told of`, async () => {
      await data.open('AAPL', interval);
      gold.fill('2026-11-20T15:00', '2026-11-24T18:00');
      await data.refresh();
      expectGold(interval);
    });
  }

  it('keeps what was scrolled to across a break that the answer reaches over', async () => {
    await data.open('AAPL', '1m');
    await data.loadOlder();
    const first = data.view?.bars[0]?.ts_start;
    gold.fill('2026-11-20T15:00', '2026-11-20T17:00');
    await data.mend();
    expect(data.view?.bars[0]?.ts_start).toBe(first);
    expectGold('1m');
  });

  it('lets the reader scroll back over a break that no answer reaches over', async () => {
    await data.open('AAPL', '1m');
    gold.fill('2026-11-20T15:00', '2026-11-30T15:00');
    await data.mend();
    expect(data.view?.bars).toHaveLength(1000);
    await data.loadOlder();
    expect(data.view?.bars).toHaveLength(2000);
    expectGold('1m');
  });

  it('has events wait until a break is mended', async () => {
    await data.open('AAPL', '1h');
    gold.fill('2026-11-20T15:00', '2026-11-20T15:50');
    const before = closes(data.view?.bars);
    gold.held = [];
    const mended = data.mend();
    data.apply(gold.fill('2026-11-20T15:50', '2026-11-20T15:52'));
    expect(closes(data.view?.bars)).toEqual(before);
    gold.release();
    await mended;
    expectGold('1h');
  });

  it('shows a minute that came while the page was under way', async () => {
    gold.held = [];
    const opened = data.open('AAPL', '5m');
    data.apply(gold.fill('2026-11-20T15:00', '2026-11-20T15:02'));
    gold.release();
    await opened;
    expectGold('5m');
  });

  it('goes on after a break although the first try to mend it fails', async () => {
    await data.open('AAPL', '5m');
    const before = closes(data.view?.bars);
    gold.fill('2026-11-20T15:00', '2026-11-20T15:50');
    gold.isDown = true;
    await data.mend();
    data.apply(gold.fill('2026-11-20T15:50', '2026-11-20T15:52'));
    expect(closes(data.view?.bars)).toEqual(before);
    expect(data.error).toBeNull();
    gold.isDown = false;
    await data.refresh();
    expectGold('5m');
    data.apply(gold.fill('2026-11-20T15:52', '2026-11-20T15:56'));
    expectGold('5m');
  });

  it('never folds a longer bar from one restated minute', async () => {
    await data.open('AAPL', '5m');
    data.apply([gold.put(at('2026-11-18T15:02'), 250)]);
    await data.refresh();
    expectGold('5m');
    await soon();
    expectGold('5m');
    expect(data.view?.bars.find((bar) => bar.startMs === at('2026-11-18T15:00'))?.high).toBe('250');
  });

  it('drops an answer that was overtaken', async () => {
    await data.open('AAPL', '1d');
    gold.held = [];
    const slow = data.refresh();
    const { held } = gold;
    gold.held = null;
    data.apply([gold.put(at('2026-11-16T15:00'), 300)]);
    await soon();
    held.forEach((resolve) => resolve());
    await slow;
    expect(data.view?.bars.find((bar) => bar.startMs === at('2026-11-16T14:30'))?.high).toBe('300');
  });

  it('takes no bar of the symbol that was shown before', async () => {
    await data.open('AAPL', '1m');
    gold.held = [];
    const first = data.open('MSFT', '1m');
    const back = data.open('AAPL', '1m');
    gold.release();
    await Promise.all([first, back]);
    expect(data.view).toMatchObject({ symbol: 'AAPL' });
    expect(data.isLoading).toBe(false);
    expectGold('1m');
  });
});

describe('a symbol without bars yet', () => {
  it('begins with its first minute', async () => {
    gold = new Gold('1m');
    await data.open('AAPL', '15m');
    expect(data.view?.bars).toEqual([]);
    data.apply(gold.fill('2026-11-20T14:30', '2026-11-20T14:32'));
    expectGold('15m');
  });

  it('is asked for again when its page could not be read', async () => {
    gold = new Gold('1m');
    gold.isDown = true;
    await data.open('AAPL', '15m');
    expect(data.error).toContain('down');
    gold.isDown = false;
    data.apply(gold.fill('2026-11-20T14:30', '2026-11-20T14:32'));
    await soon();
    expect(data.error).toBeNull();
    expectGold('15m');
  });
});
