// The HTTP API's shapes. Prices and volumes are decimal text, times RFC 3339 UTC text.

/** Decimal number as text, such as `189.430000`. Never parsed into a float for display. */
export type DecimalText = string;

/** RFC 3339 time, UTC. */
export type TimeText = string;

export const INTERVALS = ['1m', '5m', '15m', '1h', '1d'] as const;
export type Interval = (typeof INTERVALS)[number];

export interface SymbolSummary {
  symbol: string;
  mic: string;
  name: string | null;
  price: DecimalText | null;
  /** Against the previous session's close. */
  change: DecimalText | null;
  change_percent: DecimalText | null;
  volume: DecimalText | null;
  ts_quote: TimeText | null;
}

export interface Bar {
  ts_start: TimeText;
  ts_end: TimeText;
  open: DecimalText;
  high: DecimalText;
  low: DecimalText;
  close: DecimalText;
  volume: DecimalText | null;
  revision: number;
}

export interface BarsAnswer {
  symbol: string;
  interval: Interval;
  /** Ascending; the newest bars of the range asked for. */
  bars: Bar[];
}

export interface Quote {
  symbol: string;
  mic: string;
  price: DecimalText;
  open: DecimalText | null;
  high: DecimalText | null;
  low: DecimalText | null;
  previous_close: DecimalText | null;
  volume: DecimalText | null;
  ts_quote: TimeText;
  session_date: string;
}

/** One event of the stream: a bar that is new, or has a new revision. */
export interface BarEvent extends Bar {
  symbol: string;
  mic: string;
  interval: string;
}

export type StageState = 'idle' | 'running' | 'waiting' | 'stopped';

export interface StageStatus {
  name: string;
  state: StageState;
  lag: number;
  lag_unit: string;
  rows_total: number;
  ts_newest: TimeText | null;
  freshness_ms: number | null;
  message: string | null;
}

export interface TableStatus {
  name: string;
  version: number;
  rows: number;
  files: number;
  bytes: number;
}

export interface PipelineStatus {
  ts: TimeText;
  ts_market: TimeText;
  is_simulated: boolean;
  stages: StageStatus[];
  tables: TableStatus[];
}

export interface Health {
  status: string;
  release: string;
}

export interface Connections {
  postgres: { host: string; port: number; user: string; database: string } | null;
  sharing_endpoint: string | null;
  has_sql: boolean;
}
