// What is made of what, from the vendor to the tables people ask, with the counts of the status.
import { INTERVALS, type PipelineStatus, type TableStatus } from '../api/types';
import { formatCount } from '../domain/format';

export interface Item {
  id: string;
  name: string;
  /** The line below the name. */
  note: string;
  /** The ids of what it is made of. */
  from: string[];
}

export interface Layer {
  name: string;
  does: string;
  items: Item[];
}

/** What refine makes of bronze and silver. */
const SILVER: Record<string, string[]> = {
  bar: ['intraday'],
  eod: ['eod'],
  corporate_action: ['splits', 'dividends'],
  instrument: ['tickers'],
  exchange: ['exchanges'],
  quarantine: ['intraday', 'eod', 'splits', 'dividends', 'tickers', 'exchanges'],
};
const GOLD: Record<string, string> = { quote_latest: 'bar', eod: 'eod' };
/** The views, by what they are defined over. */
const VIEWS: Record<string, string[]> = {
  dim_symbol: ['silver.instrument', 'silver.exchange', 'gold.quote_latest'],
  dim_date: ['silver.bar', 'silver.eod'],
  bars_daily: ['gold.bar_1d', 'gold.eod'],
  bars_1m: ['gold.bar_1m'],
  quotes_latest: ['gold.quote_latest'],
  coverage: ['silver.bar', 'gold.quote_latest'],
  quality_daily: ['silver.bar', 'silver.eod', 'silver.quarantine'],
};

/** Bars in the order of their length, everything else by name. */
function byLength(a: TableStatus, b: TableStatus): number {
  const place = ({ name }: TableStatus): number => INTERVALS.findIndex((interval) => name.endsWith(`.bar_${interval}`));
  const isBar = place(a) >= 0 && place(b) >= 0;
  return isBar ? place(a) - place(b) : a.name.localeCompare(b.name);
}

const rows = (count: number): string => `${formatCount(count)} ${count === 1 ? 'row' : 'rows'}`;

function tableItem(table: TableStatus, from: string[]): Item {
  const name = table.name.split('.')[1] ?? table.name;
  return { id: table.name, name, note: rows(table.rows), from };
}

/** Seven layers. A table that the status does not have yet is left out, and so is the way to it. */
export function layersOf(status: PipelineStatus): Layer[] {
  const stage = (name: string) => status.stages.find((one) => one.name === name);
  const waiting = (name: string): string => {
    const found = stage(name);
    return found ? `${formatCount(found.lag)} ${found.lag_unit} waiting` : 'not running here';
  };
  const tables = (layer: string) => status.tables.filter((table) => table.name.startsWith(`${layer}.`)).sort(byLength);
  const sources = (name: string): string[] => {
    const [layer = '', table = ''] = name.split('.');
    if (layer === 'bronze') return ['landing'];
    if (layer === 'silver') return (SILVER[table] ?? []).map((source) => `bronze.${source}`);
    return [`silver.${GOLD[table] ?? 'bar'}`];
  };
  const layers: Layer[] = [
    { name: 'Vendor', does: 'REST API', items: [{ id: 'vendor', name: status.is_simulated ? 'Simulator' : 'Marketstack', note: `${rows(stage('poll')?.rows_total ?? 0)} served`, from: [] }] },
    { name: 'Topic', does: 'filled by poll', items: [{ id: 'topic', name: 'Records', note: waiting('land'), from: ['vendor'] }] },
    { name: 'Landing', does: 'filled by land', items: [{ id: 'landing', name: 'Objects', note: waiting('load'), from: ['topic'] }] },
    { name: 'Bronze', does: 'every row, by load', items: tables('bronze').map((table) => tableItem(table, sources(table.name))) },
    { name: 'Silver', does: 'revisions, by refine', items: tables('silver').map((table) => tableItem(table, sources(table.name))) },
    { name: 'Gold', does: 'for people, by refine', items: tables('gold').map((table) => tableItem(table, sources(table.name))) },
    { name: 'BI', does: 'views, planned by serve', items: Object.entries(VIEWS).map(([name, from]) => ({ id: `bi.${name}`, name, note: 'view', from })) },
  ];
  const known = new Set(layers.flatMap((layer) => layer.items.map((item) => item.id)));
  for (const layer of layers) for (const item of layer.items) item.from = item.from.filter((id) => known.has(id));
  return layers;
}

/** An item, all that it is made of, and all that is made of it. */
export function kinOf(layers: Layer[], id: string): Set<string> {
  const items = layers.flatMap((layer) => layer.items);
  const kin = new Set([id]);
  // In the order of layers every source comes before what is made of it.
  const up = (one: string): void => items.find((item) => item.id === one)?.from.forEach((source) => {
    kin.add(source);
    up(source);
  });
  up(id);
  const below = new Set([id]);
  for (const item of items) if (item.from.some((source) => below.has(source))) below.add(item.id);
  below.forEach((one) => kin.add(one));
  return kin;
}
