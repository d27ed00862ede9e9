// The mock pipeline's account of itself: five stages whose counts follow the market's revisions.

const BASE_ROWS = 48_213;

function stage(name, unit, rows, lag, freshness, now, more = {}) {
  return {
    name, state: lag > 0 ? 'running' : 'idle', lag, lag_unit: unit, rows_total: rows,
    ts_newest: new Date(now - freshness).toISOString(), freshness_ms: freshness, message: null, ...more,
  };
}

function table(name, version, rows, files) {
  return { name, version, rows, files, bytes: rows * 62 + files * 1800 };
}

export function status(market, now = Date.now()) {
  const rows = BASE_ROWS + market.revisions;
  const beat = Math.floor(now / 1000);
  const lag = beat % 5 === 0 ? 12 : 0;
  const isThrottled = beat % 60 > 40;
  const versions = Math.floor(market.revisions / 12);
  return {
    ts: new Date(now).toISOString(),
    ts_market: new Date(market.now).toISOString(),
    is_simulated: true,
    stages: [
      stage('poll', 'windows', rows, 0, 130, now, isThrottled
        ? { state: 'waiting', message: 'the vendor answered 429 `rate_limit_reached`; next try in 4 s. Lower `poll.requests_per_second` if this repeats.' }
        : {}),
      stage('land', 'records', rows - lag, lag, 240, now),
      stage('load', 'objects', rows - lag, lag > 0 ? 1 : 0, 420, now),
      stage('refine', 'versions', rows - lag - 3, 0, 610, now),
      stage('serve', 'versions', rows - lag - 3, 0, 640, now),
    ],
    tables: [
      table('bronze.intraday', 402 + versions, rows, 58),
      table('gold.bar_15m', 398 + versions, 1_884, 14), table('gold.bar_1d', 398 + versions, 4_800, 12),
      table('gold.bar_1h', 398 + versions, 528, 13), table('gold.bar_1m', 398 + versions, 27_120, 31),
      table('gold.bar_5m', 398 + versions, 5_640, 18), table('gold.quote_latest', 398 + versions, 12, 1),
      table('silver.bar', 400 + versions, rows - 41, 44), table('silver.quarantine', 3, 41, 3),
    ],
  };
}
