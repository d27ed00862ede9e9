// The symbols and their newest prices: polled as a whole, kept fresh by the stream.
import { fetchBars, fetchSymbols, isAbort, messageOf } from '../api/client';
import { INTERVALS, type BarEvent, type Interval, type SymbolSummary } from '../api/types';
import { compareText, parseDecimal, subtract, toText } from '../domain/decimal';
import { changeBetween, directionOf, type Direction } from '../domain/format';
import { INTERVAL_MS } from '../domain/session';
import { startPolling } from './poll';

const POLL_MS = 5_000;
const SPARK_MS = 60_000;
/** About one session of quarter hours. */
const SPARK_BARS = 26;
/** One small request each; a list longer than this is for searching, not for watching. */
const SPARKS_MAX = 40;

/** One symbol of the list. */
export class WatchRow {
  readonly symbol: string;
  readonly mic: string;
  name = $state<string | null>(null);
  price = $state<string | null>(null);
  /** The previous session's close, against which the change is counted. */
  base = $state<string | null>(null);
  quoteMs = $state(0);
  /** Which way the newest price went from the one before. */
  tick = $state<Direction>('flat');
  /** The shortest interval with bars: gold makes longer ones of what the feed brings, never shorter ones. */
  feed = $state<Interval | null>(null);
  history = $state.raw<number[]>([]);
  change = $derived(changeBetween(this.price, this.base));
  direction = $derived(directionOf(this.change?.amount));
  spark = $derived(this.price === null ? this.history : [...this.history.slice(0, -1), Number(this.price)]);

  constructor(summary: SymbolSummary) {
    this.symbol = summary.symbol;
    this.mic = summary.mic;
    this.adopt(summary);
  }

  adopt(summary: SymbolSummary): void {
    this.name = summary.name;
    const price = parseDecimal(summary.price);
    const change = parseDecimal(summary.change);
    this.base = price && change ? toText(subtract(price, change)) : null;
    this.setPrice(summary.price, summary.ts_quote === null ? 0 : Date.parse(summary.ts_quote));
  }

  /** Takes a price unless a newer one is known. */
  setPrice(price: string | null, quoteMs: number): void {
    if (price === null || quoteMs < this.quoteMs) return;
    if (this.price !== null) {
      const order = compareText(price, this.price);
      if (order !== 0) this.tick = order > 0 ? 'up' : 'down';
      else if (price === this.price && quoteMs === this.quoteMs) return;
    }
    this.price = price;
    this.quoteMs = quoteMs;
  }

  /** Looks for the shortest bars of the newest day: older ones may be of another feed. */
  async findFeed(signal?: AbortSignal): Promise<void> {
    if (this.quoteMs === 0) return;
    const from = new Date(this.quoteMs - INTERVAL_MS['1d']).toISOString();
    for (const interval of INTERVALS) {
      const { bars } = await fetchBars({ symbol: this.symbol, interval, from, limit: 1 }, signal);
      if (bars.length === 0) continue;
      this.feed = interval;
      return;
    }
  }
}

/** One listing per symbol: bars and the stream are asked for by symbol alone. */
function newestListings(summaries: SymbolSummary[]): SymbolSummary[] {
  const newest = new Map<string, SymbolSummary>();
  for (const summary of summaries) {
    const known = newest.get(summary.symbol);
    if (!known || (known.ts_quote ?? '') < (summary.ts_quote ?? '')) newest.set(summary.symbol, summary);
  }
  return [...newest.values()];
}

class Watchlist {
  rows = $state.raw<WatchRow[]>([]);
  error = $state<string | null>(null);
  isLoaded = $state(false);
  #bySymbol = new Map<string, WatchRow>();

  watch(): () => void {
    const stops = [
      startPolling((signal) => this.#poll(signal), POLL_MS),
      startPolling((signal) => this.#loadSparks(signal), SPARK_MS),
    ];
    return () => stops.forEach((stop) => stop());
  }

  find(symbol: string | null): WatchRow | undefined {
    return this.rows.find((row) => row.symbol === symbol);
  }

  apply(bars: BarEvent[]): void {
    for (const bar of bars) this.#bySymbol.get(bar.symbol)?.setPrice(bar.close, Date.parse(bar.ts_start));
  }

  async refresh(signal?: AbortSignal): Promise<void> {
    const summaries = newestListings(await fetchSymbols(signal));
    let isChanged = summaries.length !== this.rows.length;
    const rows = summaries.map((summary) => {
      const known = this.#bySymbol.get(summary.symbol);
      if (known) {
        known.adopt(summary);
        return known;
      }
      isChanged = true;
      const row = new WatchRow(summary);
      this.#bySymbol.set(summary.symbol, row);
      return row;
    });
    if (isChanged) this.rows = rows.sort((a, b) => a.symbol.localeCompare(b.symbol, 'en'));
    this.isLoaded = true;
    this.error = null;
    if (isChanged) void this.#loadSparks(signal).catch(() => undefined);
  }

  async #poll(signal: AbortSignal): Promise<void> {
    try {
      await this.refresh(signal);
    } catch (cause) {
      if (!isAbort(cause)) this.error = messageOf(cause);
    }
  }

  async #loadSparks(signal?: AbortSignal): Promise<void> {
    for (const row of this.rows.slice(0, SPARKS_MAX)) {
      const answer = await fetchBars({ symbol: row.symbol, interval: '15m', limit: SPARK_BARS }, signal);
      // A float is precise enough to place a pixel.
      row.history = answer.bars.map((bar) => Number(bar.close));
    }
  }
}

export const watchlist = new Watchlist();
