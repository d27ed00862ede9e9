// The flow keeps its order whatever the status lists.
import { describe, expect, it } from 'vitest';
import type { PipelineStatus, StageStatus } from '../api/types';
import { flowOf, layerOf } from './flow';

const stage = (name: string, lag = 0): StageStatus => ({
  name, state: 'idle', lag, lag_unit: 'records', rows_total: 0, ts_newest: null, freshness_ms: null, message: null,
});
const status = (stages: StageStatus[]): PipelineStatus => ({
  ts: '2026-11-20T16:00:00Z', ts_market: '2026-11-20T16:00:00Z', is_simulated: true, stages, tables: [],
});

describe('the flow', () => {
  it('has vendor and topic in their places, and unknown stages at the end', () => {
    const nodes = flowOf(status([stage('serve'), stage('land', 7), stage('poll'), stage('audit')]));
    expect(nodes.map((node) => node.name)).toEqual(['vendor', 'poll', 'topic', 'land', 'load', 'refine', 'serve', 'audit']);
    expect(nodes[2]).toMatchObject({ count: '7 waiting' });
    expect(nodes[4]).toMatchObject({ stage: null });
  });

  it('orders the layers', () => {
    expect(['gold.bar_1m', 'bronze.intraday', 'other'].map((name) => layerOf(name).order)).toEqual([2, 0, 3]);
  });
});
