// The picture has to show the ways that rows take.
import { describe, expect, it } from 'vitest';
import type { PipelineStatus } from '../api/types';
import { kinOf, layersOf } from './graph';

const table = (name: string) => ({ name, version: 1, rows: 1_200, files: 1, bytes: 1 });
const status: PipelineStatus = {
  ts: '2026-11-20T16:00:00Z', ts_market: '2026-11-20T16:00:00Z', is_simulated: true,
  stages: [{ name: 'land', state: 'idle', lag: 12, lag_unit: 'records', rows_total: 0, ts_newest: null, freshness_ms: null, message: null }],
  tables: ['gold.bar_1m', 'gold.bar_15m', 'gold.quote_latest', 'silver.bar', 'silver.quarantine', 'bronze.intraday', 'bronze.eod'].map(table),
};

describe('the lineage', () => {
  const layers = layersOf(status);

  it('goes from the vendor to the views, with counts', () => {
    expect(layers.map((layer) => layer.name)).toEqual(['Vendor', 'Topic', 'Landing', 'Bronze', 'Silver', 'Gold', 'BI']);
    expect(layers[1]!.items[0]!.note).toBe('12 records waiting');
    expect(layers[5]!.items.map((item) => item.name)).toEqual(['bar_1m', 'bar_15m', 'quote_latest']);
    expect(layers[5]!.items[0]!).toMatchObject({ note: '1,200 rows', from: ['silver.bar'] });
  });

  it('has no way to a table that is not there', () => {
    const quarantine = layers[4]!.items.find((item) => item.id === 'silver.quarantine');
    expect(quarantine?.from).toEqual(['bronze.intraday', 'bronze.eod']);
    expect(layers[6]!.items.find((item) => item.id === 'bi.bars_daily')?.from).toEqual([]);
  });

  it('knows what depends on what', () => {
    const kin = kinOf(layers, 'silver.bar');
    for (const id of ['vendor', 'topic', 'landing', 'bronze.intraday', 'gold.bar_1m', 'bi.bars_1m']) expect(kin).toContain(id);
    for (const id of ['bronze.eod', 'silver.quarantine']) expect(kin).not.toContain(id);
  });
});
