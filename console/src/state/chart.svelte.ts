// The bars of the chart: fetched, followed live, mended after a break, extended to the left.
import { fetchBars, isAbort, messageOf } from '../api/client';
import type { BarEvent, Interval } from '../api/types';
import { mergeBars, timed, type TimedBar } from '../domain/bars';
import { Tail, TAIL_MINUTES } from '../domain/tail';

/** What a wide screen shows, several times over. */
const PAGE_BARS = 1000;
/** Beyond this the browser draws slowly; older bars are a query, not a chart. */
const BARS_MAX = 20_000;
/** Bars that a refresh asks for: late revisions of older ones come with the next page load. */
const REFRESH_BARS = 60;
/** Events that may wait while the first answer is under way. */
const WAITING_MAX = 1000;

export interface ChartView {
  symbol: string;
  interval: Interval;
  bars: readonly TimedBar[];
}

export class ChartData {
  /** What is drawn: the last view stays until the next one is complete. */
  view = $state.raw<ChartView | null>(null);
  isLoading = $state(false);
  error = $state<string | null>(null);
  #symbol = '';
  #interval: Interval = '1m';
  #tail = new Tail('1m');
  #waiting: TimedBar[] | null = null;
  #hasOlder = false;
  #isLoadingOlder = false;
  #controller = new AbortController();

  /** Shows another symbol or interval. */
  async open(symbol: string, interval: Interval): Promise<void> {
    this.#controller.abort();
    const controller = new AbortController();
    this.#controller = controller;
    this.#symbol = symbol;
    this.#interval = interval;
    this.#tail = new Tail(interval);
    this.#waiting = [];
    this.isLoading = true;
    this.error = null;
    try {
      const { bars, isAll } = await this.#fetch(PAGE_BARS, controller.signal);
      const late = this.#tail.push(this.#waiting ?? []);
      this.#hasOlder = !isAll;
      this.view = { symbol, interval, bars: mergeBars(bars, late) };
    } catch (cause) {
      if (isAbort(cause)) return;
      this.error = messageOf(cause);
      this.view = null;
    }
    this.#waiting = null;
    this.isLoading = false;
  }

  close(): void {
    this.#controller.abort();
  }

  /** Takes bars off the stream. */
  apply(events: BarEvent[]): void {
    const minutes = events.filter((event) => event.symbol === this.#symbol).map(timed)
      .sort((a, b) => a.startMs - b.startMs);
    if (minutes.length === 0) return;
    if (this.#waiting) {
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(...minutes);
      return;
    }
    // The symbol was not known when it was asked for: now it is.
    if (!this.view) void this.refresh();
    else this.#merge(this.#tail.push(minutes));
  }

  /** Fetches the newest bars again: after a break of the stream, and now and then for late revisions. */
  async refresh(): Promise<void> {
    if (this.isLoading) return;
    if (!this.view) return this.#symbol ? this.open(this.#symbol, this.#interval) : undefined;
    const { signal } = this.#controller;
    try {
      const { bars } = await this.#fetch(REFRESH_BARS, signal);
      if (!signal.aborted) this.#merge(bars);
    } catch {
      // The connection state shows the outage; the next refresh tries again.
    }
  }

  /** Fetches the bars before the first one shown. */
  async loadOlder(): Promise<void> {
    const view = this.view;
    const first = view?.bars[0];
    if (!view || !first || !this.#hasOlder || this.#isLoadingOlder || view.bars.length >= BARS_MAX) return;
    this.#isLoadingOlder = true;
    const { signal } = this.#controller;
    try {
      const query = { symbol: view.symbol, interval: view.interval, to: first.ts_start, limit: PAGE_BARS };
      const older = (await fetchBars(query, signal)).bars.map(timed);
      if (!signal.aborted) {
        this.#hasOlder = older.length === PAGE_BARS;
        this.#merge(older);
      }
    } catch {
      // Scrolling on asks again.
    }
    this.#isLoadingOlder = false;
  }

  #merge(bars: readonly TimedBar[]): void {
    if (!this.view || this.view.symbol !== this.#symbol || this.view.interval !== this.#interval) return;
    const merged = mergeBars(this.view.bars, bars);
    if (merged !== this.view.bars) this.view = { ...this.view, bars: merged };
  }

  /** The newest bars, the end of them folded from minutes, which are fresher than any longer interval. */
  async #fetch(limit: number, signal: AbortSignal): Promise<{ bars: readonly TimedBar[]; isAll: boolean }> {
    const symbol = this.#symbol;
    const interval = this.#interval;
    const tail = this.#tail;
    const isMinute = interval === '1m';
    const [answer, minutes] = await Promise.all([
      fetchBars({ symbol, interval, limit }, signal),
      isMinute ? null : fetchBars({ symbol, interval: '1m', limit: TAIL_MINUTES }, signal),
    ]);
    const bars = answer.bars.map(timed);
    const isAll = bars.length < limit;
    const folded = minutes
      ? tail.load(minutes.bars.map(timed), minutes.bars.length < TAIL_MINUTES)
      : tail.load(bars, isAll);
    return { bars: mergeBars(bars, folded), isAll };
  }
}
