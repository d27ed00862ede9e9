// Bars in order: merging, folding minutes into longer intervals, and the holes between them.
import type { Bar, Interval } from '../api/types';
import { addVolumes, maxText, minText } from './decimal';
import { bucketAt, INTERVAL_MS, sessionAt } from './session';

/** A bar with its start as epoch milliseconds. */
export interface TimedBar extends Bar {
  startMs: number;
}

export function timed(bar: Bar): TimedBar {
  return {
    ts_start: bar.ts_start, ts_end: bar.ts_end,
    open: bar.open, high: bar.high, low: bar.low, close: bar.close,
    volume: bar.volume, revision: bar.revision,
    startMs: Date.parse(bar.ts_start),
  };
}

function isSame(a: TimedBar, b: TimedBar): boolean {
  return a.revision === b.revision && a.close === b.close && a.high === b.high && a.low === b.low &&
    a.open === b.open && a.volume === b.volume && a.ts_end === b.ts_end;
}

/** Where `startMs` is or belongs in an ascending list. */
export function indexOf(bars: readonly TimedBar[], startMs: number): number {
  let low = 0;
  let high = bars.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bars[middle]!.startMs < startMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Returns `bars` with `incoming` put in; of two bars with one start the incoming one stays. Bars that
 * did not change keep their identity, and so does the list if none did.
 */
export function mergeBars(bars: readonly TimedBar[], incoming: readonly TimedBar[]): readonly TimedBar[] {
  return merge(bars, incoming, () => true);
}

/** As `mergeBars`, but an older revision never replaces a newer one: events and answers may cross. */
export function mergeRevisions(bars: readonly TimedBar[], incoming: readonly TimedBar[]): readonly TimedBar[] {
  return merge(bars, incoming, (known, bar) => bar.revision >= known.revision);
}

function merge(
  bars: readonly TimedBar[],
  incoming: readonly TimedBar[],
  replaces: (known: TimedBar, bar: TimedBar) => boolean,
): readonly TimedBar[] {
  let merged: TimedBar[] | null = null;
  for (const bar of incoming) {
    const list: readonly TimedBar[] = merged ?? bars;
    const at = indexOf(list, bar.startMs);
    const known = list[at];
    const isKnown = known?.startMs === bar.startMs;
    if (isKnown && (isSame(known, bar) || !replaces(known, bar))) continue;
    merged ??= bars.slice();
    merged.splice(at, isKnown ? 1 : 0, bar);
  }
  return merged ?? bars;
}

/** Folds ascending bars of one symbol into buckets of its sessions; bars outside of sessions are left out. */
export function foldBars(bars: readonly TimedBar[], interval: Interval): TimedBar[] {
  const folded: TimedBar[] = [];
  for (const bar of bars) {
    const bucket = bucketAt(bar.startMs, interval);
    if (!bucket) continue;
    const last = folded.at(-1);
    if (last?.startMs === bucket.startMs) {
      last.high = maxText(last.high, bar.high);
      last.low = minText(last.low, bar.low);
      last.close = bar.close;
      last.volume = addVolumes(last.volume, bar.volume);
      last.revision = Math.max(last.revision, bar.revision);
    } else {
      folded.push({
        ...bar,
        ts_start: new Date(bucket.startMs).toISOString(),
        ts_end: new Date(bucket.endMs).toISOString(),
        startMs: bucket.startMs,
      });
    }
  }
  return folded;
}

/** Starts of the bars that are missing between bars of one session, ascending. Days are never filled. */
export function missingStarts(bars: readonly TimedBar[], interval: Interval): number[] {
  if (interval === '1d') return [];
  const length = INTERVAL_MS[interval];
  const missing: number[] = [];
  for (let at = 1; at < bars.length; at += 1) {
    const previous = bars[at - 1]!.startMs;
    const current = bars[at]!.startMs;
    if (current - previous <= length) continue;
    const session = sessionAt(current);
    if (!session || previous < session.openMs) continue;
    for (let start = previous + length; start < current; start += length) missing.push(start);
  }
  return missing;
}
