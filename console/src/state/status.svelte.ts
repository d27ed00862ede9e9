// The pipeline's status, polled; with the pace of rows per stage over the last minute.
import { fetchHealth, fetchStatus, isAbort, messageOf } from '../api/client';
import type { PipelineStatus } from '../api/types';
import { startPolling } from './poll';

/** A minute at one report a second. */
const SAMPLES_MAX = 60;

interface Sample {
  ms: number;
  rows: Record<string, number>;
}

class Status {
  report = $state.raw<PipelineStatus | null>(null);
  error = $state<string | null>(null);
  release = $state<string | null>(null);
  #samples = $state.raw<Sample[]>([]);

  /** Polls until the returned function is called. */
  watch(periodMs: number): () => void {
    return startPolling((signal) => this.#poll(signal), periodMs);
  }

  /** Rows per second between the last reports, oldest first. */
  rates(stage: string): number[] {
    const rates: number[] = [];
    for (let at = 1; at < this.#samples.length; at += 1) {
      const before = this.#samples[at - 1]!;
      const after = this.#samples[at]!;
      const rows = (after.rows[stage] ?? 0) - (before.rows[stage] ?? 0);
      rates.push(Math.max(0, (rows * 1000) / Math.max(1, after.ms - before.ms)));
    }
    return rates;
  }

  async #poll(signal: AbortSignal): Promise<void> {
    try {
      const report = await fetchStatus(signal);
      this.report = report;
      this.error = null;
      const rows = Object.fromEntries(report.stages.map((stage) => [stage.name, stage.rows_total]));
      this.#samples = [...this.#samples, { ms: performance.now(), rows }].slice(-SAMPLES_MAX);
      if (this.release === null) this.release = (await fetchHealth()).release;
    } catch (cause) {
      if (!isAbort(cause)) this.error = messageOf(cause);
    }
  }
}

export const status = new Status();
