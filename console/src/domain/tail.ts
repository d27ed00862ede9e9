// The live end of a chart: minutes that the stream brings, folded into the chart's interval.
import type { Interval } from '../api/types';
import { foldBars, indexOf, mergeRevisions, type TimedBar } from './bars';
import { bucketAt } from './session';

/** More than one session of 390 minutes, so that the newest day can always be folded whole. */
export const TAIL_MINUTES = 500;
/** Three times that: a day of live minutes fits before the oldest are dropped. */
const MINUTES_MAX = 1500;

/**
 * Keeps the newest minutes of one symbol and says which bars of the interval they make.
 *
 * Between its first minute and its last the tail has every minute that the server has: so only bars of
 * one minute may be put in, and only as long as the stream misses none.
 */
export class Tail {
  #minutes: readonly TimedBar[] = [];
  #fromMs = Infinity;

  constructor(readonly interval: Interval) {}

  /** The start of the first bar that the tail can fold whole. Older bars are the server's to tell. */
  get fromMs(): number {
    return this.#fromMs;
  }

  /** Takes the newest minutes the server has; `isAll` if it has no older ones. */
  load(minutes: readonly TimedBar[], isAll: boolean): TimedBar[] {
    const first = minutes[0];
    // Between what is known from before and the first minute loaded, others may be missing.
    const known = first ? this.#minutes.slice(indexOf(this.#minutes, first.startMs)) : this.#minutes;
    this.#minutes = mergeRevisions(known, minutes);
    this.#bound(isAll);
    return this.#fold(this.#fromMs, Infinity);
  }

  /** Takes minutes off the stream and returns the bars they change, ascending. */
  push(minutes: readonly TimedBar[]): TimedBar[] {
    const firstMs = this.#minutes[0]?.startMs ?? -Infinity;
    // A minute from before the tail's first does not make the tail longer: its neighbors are missing.
    const fitting = minutes.filter((bar) => bar.startMs >= firstMs);
    this.#minutes = mergeRevisions(this.#minutes, fitting);
    if (this.#fromMs === Infinity) this.#bound(true);
    const starts = new Set<number>();
    for (const bar of fitting) {
      const bucket = bucketAt(bar.startMs, this.interval);
      if (bucket && bucket.startMs >= this.#fromMs) starts.add(bucket.startMs);
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
    this.#fromMs = isAll || bucket.startMs === first.startMs ? bucket.startMs : bucket.endMs;
  }

  #fold(fromMs: number, toMs: number): TimedBar[] {
    if (fromMs === Infinity) return [];
    const from = indexOf(this.#minutes, fromMs);
    const to = toMs === Infinity ? this.#minutes.length : indexOf(this.#minutes, toMs);
    return foldBars(this.#minutes.slice(from, to), this.interval);
  }
}
