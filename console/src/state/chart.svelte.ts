// The bars of the chart: fetched, followed live, mended after a break, extended to the left.
import { untrack } from 'svelte';
import { fetchBars, messageOf } from '../api/client';
import type { BarEvent, Interval } from '../api/types';
import { mergeBars, timed, type TimedBar } from '../domain/bars';
import { bucketAt, INTERVAL_MS } from '../domain/session';
import { Tail, TAIL_MINUTES } from '../domain/tail';

/** What a wide screen shows, several times over. */
const PAGE_BARS = 1000;
/** Beyond this the browser draws slowly; older bars are a query, not a chart. */
const BARS_MAX = 20_000;
/** Bars that a refresh asks for again: late revisions of older ones come as events, or with the next page. */
const REFRESH_BARS = 60;
/** Events that may wait for an answer; it has the bars of the oldest ones itself. */
const WAITING_MAX = 1000;
/** Gold follows an event within a second; the rest is for a busy machine. */
const GOLD_MS = 1500;

export interface ChartView {
  symbol: string;
  interval: Interval;
  bars: readonly TimedBar[];
}

/** The newest bars as the server told them. */
interface Answer {
  bars: readonly TimedBar[];
  /** Whether these are all there are in what was asked for. */
  isAll: boolean;
}

export class ChartData {
  /** What is drawn: the last view stays until the next one is complete. */
  view = $state.raw<ChartView | null>(null);
  isLoading = $state(false);
  error = $state<string | null>(null);
  #symbol = '';
  #interval: Interval = '1m';
  // These two belong to the view and change with it.
  #tail = new Tail('1m');
  #hasOlder = false;
  /** Events that wait for a page; null when they are drawn as they come. */
  #waiting: BarEvent[] | null = null;
  #isOpening = false;
  #isLoadingOlder = false;
  /** The start of the oldest bar known to be out of date. */
  #lateMs = Infinity;
  #soon: ReturnType<typeof setTimeout> | undefined;
  /** Whether events came while a refresh was due: gold may not have them by then. */
  #isOneMoreDue = false;
  #refreshes = 0;
  #controller = new AbortController();

  /** Shows another symbol or interval, or the same one after a break of the stream. */
  async open(symbol: string, interval: Interval): Promise<void> {
    this.close();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    // Whoever opens a chart in an effect does not want to open it again for every bar.
    const view = untrack(() => this.view);
    const isSame = view?.symbol === symbol && view.interval === interval;
    const tail = isSame ? this.#tail : new Tail(interval);
    this.#symbol = symbol;
    this.#interval = interval;
    this.#waiting = [];
    this.#isOpening = true;
    this.isLoading = !isSame;
    this.error = null;
    try {
      const answer = await this.#fetch(tail, undefined, signal);
      if (signal.aborted) return;
      if (!isSame) {
        this.#tail = tail;
        this.#hasOlder = false;
        this.view = { symbol, interval, bars: [] };
      }
      this.#adopt(answer);
      const waiting = this.#waiting;
      this.#waiting = null;
      this.#follow(waiting);
    } catch (cause) {
      if (signal.aborted) return;
      // A view that is only behind stays, and events go on waiting: the next refresh tries again.
      if (!isSame) {
        this.error = messageOf(cause);
        this.view = null;
        this.#waiting = null;
      }
    }
    this.#isOpening = false;
    this.isLoading = false;
  }

  close(): void {
    this.#controller.abort();
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#lateMs = Infinity;
  }

  /** Fetches what the stream has missed. Until then events wait: folded across a hole they would be wrong. */
  async mend(): Promise<void> {
    if (this.#symbol) await this.open(this.#symbol, this.#interval);
  }

  /** Takes bars off the stream. */
  apply(events: BarEvent[]): void {
    const own = events.filter((event) => event.symbol === this.#symbol);
    if (own.length === 0) return;
    if (this.#waiting) this.#waiting = [...this.#waiting, ...own].slice(-WAITING_MAX);
    // The symbol was not known when it was asked for: now it is.
    else if (!this.view) void this.refresh();
    else this.#follow(own);
  }

  /** Fetches the newest bars again, and those that events told of. */
  async refresh(): Promise<void> {
    if (this.#isOpening) return;
    if (!this.view || this.#waiting) return this.mend();
    const { signal } = this.#controller;
    this.#refreshes += 1;
    const turn = this.#refreshes;
    const lateMs = this.#lateMs;
    this.#lateMs = Infinity;
    try {
      const answer = await this.#fetch(this.#tail, this.#from(this.view.bars, lateMs), signal);
      // An answer that was overtaken is older than what is drawn.
      if (!signal.aborted && turn === this.#refreshes) return this.#adopt(answer);
    } catch {
      // The connection state shows the outage; the next refresh tries again.
    }
    if (!signal.aborted) this.#lateMs = Math.min(this.#lateMs, lateMs);
  }

  /** Fetches the bars before the first one shown. */
  async loadOlder(): Promise<void> {
    const view = this.view;
    const first = view?.bars[0];
    if (!view || !first || !this.#hasOlder || view.bars.length >= BARS_MAX) return;
    if (this.isLoading || this.#isLoadingOlder) return;
    this.#isLoadingOlder = true;
    const { signal } = this.#controller;
    try {
      const query = { symbol: view.symbol, interval: view.interval, to: first.ts_start, limit: PAGE_BARS };
      const older = (await fetchBars(query, signal)).bars.map(timed);
      // Behind a hole the view may begin anew meanwhile; what was asked for is then not next to it.
      if (!signal.aborted && this.view?.bars[0]?.startMs === first.startMs) {
        this.#hasOlder = older.length === PAGE_BARS;
        this.#merge(older);
      }
    } catch {
      // Scrolling on asks again.
    }
    this.#isLoadingOlder = false;
  }

  /** Draws what minutes tell; what only gold knows is fetched as soon as gold has it. */
  #follow(events: BarEvent[]): void {
    const minutes: TimedBar[] = [];
    const late: number[] = [];
    const bucketStart = (bar: TimedBar): number => bucketAt(bar.startMs, this.#interval)?.startMs ?? Infinity;
    for (const event of events) {
      const bar = timed(event);
      if (event.interval === '1m') minutes.push(bar);
      else if (Date.parse(bar.ts_end) - bar.startMs <= INTERVAL_MS[this.#interval]) late.push(bucketStart(bar));
    }
    minutes.sort((a, b) => a.startMs - b.startMs);
    this.#merge(this.#tail.push(minutes));
    late.push(...minutes.map(bucketStart).filter((startMs) => startMs < this.#tail.fromMs));
    // What lies further back than the view comes when somebody scrolls there.
    const firstMs = this.#hasOlder ? (this.view?.bars[0]?.startMs ?? -Infinity) : -Infinity;
    const lateMs = Math.min(...late.filter((startMs) => startMs >= firstMs));
    if (lateMs < Infinity) this.#refreshSoon(lateMs);
  }

  #refreshSoon(lateMs: number): void {
    this.#lateMs = Math.min(this.#lateMs, lateMs);
    this.#isOneMoreDue = this.#soon !== undefined;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      const dueMs = this.#lateMs;
      void this.refresh();
      if (this.#isOneMoreDue) this.#refreshSoon(dueMs);
    }, GOLD_MS);
  }

  /** From where on a refresh asks: so far back that the answer meets the view, however old that is. */
  #from(bars: readonly TimedBar[], lateMs: number): string | undefined {
    const first = bars[Math.max(0, bars.length - REFRESH_BARS)];
    return first && new Date(Math.min(first.startMs, lateMs)).toISOString();
  }

  /** Puts the newest bars into the view. Bars that a hole would follow go; scrolling brings them back. */
  #adopt({ bars, isAll }: Answer): void {
    const lastMs = this.view?.bars.at(-1)?.startMs ?? -Infinity;
    if (this.view && !isAll && (bars[0]?.startMs ?? -Infinity) > lastMs) {
      this.#hasOlder = true;
      this.view = { ...this.view, bars: [] };
    }
    this.#merge(bars);
  }

  #merge(bars: readonly TimedBar[]): void {
    if (!this.view) return;
    const merged = mergeBars(this.view.bars, bars);
    if (merged !== this.view.bars) this.view = { ...this.view, bars: merged };
  }

  /** The newest bars, the end of them folded from minutes, which are fresher than any longer interval. */
  async #fetch(tail: Tail, from: string | undefined, signal: AbortSignal): Promise<Answer> {
    const symbol = this.#symbol;
    const interval = this.#interval;
    const isMinute = interval === '1m';
    const [answer, minutes] = await Promise.all([
      fetchBars({ symbol, interval, from, limit: PAGE_BARS }, signal),
      isMinute ? null : fetchBars({ symbol, interval: '1m', limit: TAIL_MINUTES }, signal),
    ]);
    const bars = answer.bars.map(timed);
    const folded = minutes
      ? tail.load(minutes.bars.map(timed), minutes.bars.length < TAIL_MINUTES)
      : tail.load(bars, false);
    return { bars: mergeBars(bars, folded), isAll: bars.length < PAGE_BARS };
  }
}
