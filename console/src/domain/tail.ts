// The live end of a chart: minutes that the stream brings, folded into the chart's interval.
import type { Interval } from '../api/types';
import { foldBars, indexOf, mergeRevisions, type TimedBar } from './bars';
import { bucketAt, INTERVAL_MS } from './session';

/** More than one session of 390 minutes, so that the newest day can always be folded whole. */
export const TAIL_MINUTES = 500;
/** Three times that: a day of live minutes fits before the oldest are dropped. */
const MINUTES_MAX = 1500;

/** Keeps the newest minutes of one symbol and says which bars of the interval they make. */
export class Tail {
  #minutes: readonly TimedBar[] = [];
  #foldFromMs = Infinity;

  constructor(readonly interval: Interval) {}

  /** Takes the newest minutes the server has; `isAll` if it has no older ones. */
  load(minutes: readonly TimedBar[], isAll: boolean): TimedBar[] {
    this.#minutes = mergeRevisions(this.#minutes, minutes);
    this.#bound(isAll);
    return this.#fold(this.#foldFromMs, Infinity);
  }

  /** Takes minutes off the stream and returns the bars they change, ascending. */
  push(minutes: readonly TimedBar[]): TimedBar[] {
    const fitting = minutes.filter((bar) => Date.parse(bar.ts_end) - bar.startMs <= INTERVAL_MS[this.interval]);
    this.#minutes = mergeRevisions(this.#minutes, fitting);
    if (this.#foldFromMs === Infinity) this.#bound(true);
    const starts = new Set<number>();
    for (const bar of fitting) {
      const bucket = bucketAt(bar.startMs, this.interval);
      // A late minute of an older bucket: the server knows the rest of it, so the next refresh brings it.
      if (bucket && bucket.startMs >= this.#foldFromMs) starts.add(bucket.startMs);
    }
    const changed = [...starts].sort((a, b) => a - b)
      .flatMap((start) => this.#fold(start, bucketAt(start, this.interval)?.endMs ?? start));
    if (this.#minutes.length > MINUTES_MAX) {
      this.#minutes = this.#minutes.slice(-MINUTES_MAX);
      this.#bound(false);
    }
    return changed;
  }

  /** The first bucket of which every minute is here. */
  #bound(isAll: boolean): void {
    const first = this.#minutes.find((bar) => bucketAt(bar.startMs, this.interval));
    const bucket = first && bucketAt(first.startMs, this.interval);
    if (!first || !bucket) return;
    this.#foldFromMs = isAll || bucket.startMs === first.startMs ? bucket.startMs : bucket.endMs;
  }

  #fold(fromMs: number, toMs: number): TimedBar[] {
    if (fromMs === Infinity) return [];
    const from = indexOf(this.#minutes, fromMs);
    const to = toMs === Infinity ? this.#minutes.length : indexOf(this.#minutes, toMs);
    return foldBars(this.#minutes.slice(from, to), this.interval);
  }
}
