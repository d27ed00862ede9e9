// A row knows how long the bars are that its prices come in.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Interval, SymbolSummary } from '../api/types';
import { WatchRow } from './watchlist.svelte';

vi.mock('../api/client', () => ({
  fetchBars: (query: { interval: Interval; from: string }) => {
    asked.push(query.interval);
    const newest = newestStarts[query.interval];
    return Promise.resolve({ bars: newest !== undefined && newest >= query.from ? [{}] : [] });
  },
}));

const SUMMARY: SymbolSummary = {
  symbol: 'AAPL', mic: 'XNAS', name: null, price: '189.43', change: null, change_percent: null, volume: null,
  ts_quote: '2026-11-20T15:45:00.000Z',
};

let newestStarts: Partial<Record<Interval, string>>;
let asked: Interval[];

beforeEach(() => {
  asked = [];
});

async function feedOf(newest: Partial<Record<Interval, string>>, summary = SUMMARY): Promise<Interval | null> {
  newestStarts = newest;
  const row = new WatchRow(summary);
  await row.findFeed();
  return row.feed;
}

describe('the feed of a symbol', () => {
  const quarter = { '15m': '2026-11-20T15:45:00.000Z', '1h': '2026-11-20T15:30:00.000Z' };

  it('is the shortest interval with bars', async () => {
    expect(await feedOf(quarter)).toBe('15m');
    expect(asked).toEqual(['1m', '5m', '15m']);
    expect(await feedOf({ ...quarter, '1m': '2026-11-20T15:45:00.000Z' })).toBe('1m');
  });

  it('is not told by the bars of an earlier feed', async () => {
    expect(await feedOf({ ...quarter, '1m': '2026-11-06T15:45:00.000Z' })).toBe('15m');
  });

  it('is unknown until there are bars, and a price', async () => {
    expect(await feedOf({})).toBeNull();
    asked = [];
    expect(await feedOf(quarter, { ...SUMMARY, price: null, ts_quote: null })).toBeNull();
    expect(asked).toEqual([]);
  });
});
