// SQL of the mock: no engine, but an answer to what the console asks, and something for everything else.

const TABLES = {
  'bi.quotes_latest': [['symbol', 'text'], ['ts', 'timestamp without time zone'], ['price', 'numeric'], ['previous_close', 'numeric'], ['change_percent', 'double precision'], ['volume', 'numeric']],
  'bi.coverage': [['symbol', 'text'], ['date', 'date'], ['bars', 'integer'], ['first_ts', 'timestamp without time zone'], ['last_ts', 'timestamp without time zone'], ['minutes_missing', 'integer']],
  'bi.quality_daily': [['date', 'date'], ['rows', 'bigint'], ['rejected', 'bigint'], ['revised', 'bigint']],
  'gold.bar_15m': [['symbol', 'text'], ['ts_start', 'timestamp with time zone'], ['open', 'numeric'], ['high', 'numeric'], ['low', 'numeric'], ['close', 'numeric'], ['volume', 'numeric'], ['revision', 'integer']],
  'gold.bar_1m': [['symbol', 'text'], ['ts_start', 'timestamp with time zone'], ['close', 'numeric']],
  'silver.bar': [['symbol', 'text'], ['ts_start', 'timestamp with time zone'], ['revision', 'integer']],
  'silver.quarantine': [['dataset', 'text'], ['reason', 'text'], ['record', 'text']],
  'bronze.intraday': [['symbol', 'text'], ['_rescued_data', 'text']],
};
const DAY_MS = 86_400_000;

function columnsOf() {
  const rows = Object.entries(TABLES).flatMap(([name, columns]) => columns.map(([column, type]) => [...name.split('.'), column, type]));
  return { columns: [['table_schema', 'text'], ['table_name', 'text'], ['column_name', 'text'], ['data_type', 'text']], rows };
}

function datesBefore(ms, count) {
  const dates = [];
  for (let at = ms; dates.length < count; at -= DAY_MS) {
    const day = new Date(at);
    if (day.getUTCDay() % 6 !== 0) dates.push(day.toISOString().slice(0, 10));
  }
  return dates;
}

function coverage(market) {
  const dates = datesBefore(market.now, 20);
  const symbols = market.summaries().map((row) => row.symbol);
  const missing = (a, b) => ((a * 7 + b * 13) % 17 === 0 ? 4 + ((a * b) % 11) : (a * 5 + b * 3) % 41 === 0 ? 45 : 0);
  const rows = symbols.flatMap((symbol, a) => dates.map((date, b) =>
    [symbol, date, '26', `${date} 14:30:00`, `${date} 20:45:00`, String(missing(a, b))]).filter((_, b) => (a + b * 3) % 59 !== 0));
  return { columns: TABLES['bi.coverage'], rows };
}

function quality(market) {
  const rows = datesBefore(market.now, 60).map((date, at) =>
    [date, String(312 * (20 + (at % 3))), String(at % 9 === 0 ? 3 + at % 5 : 0), String((at * 7) % 13)]);
  return { columns: TABLES['bi.quality_daily'], rows };
}

function reasons() {
  const columns = [['dataset', 'text'], ['reason', 'text'], ['rows', 'bigint'], ['newest', 'timestamp with time zone']];
  return { columns, rows: [
    ['intraday', 'the price is not a decimal with at most six decimals: `1e400`', '27', '2026-11-20 15:41:02.5+00'],
    ['eod', 'high is below low', '14', '2026-11-19 21:10:00+00'],
  ] };
}

function quotes(market) {
  const rows = market.summaries().map((row) =>
    [row.symbol, row.ts_quote?.replace('T', ' ').replace('Z', '') ?? null, row.price, row.price, row.change_percent, row.volume]);
  return { columns: TABLES['bi.quotes_latest'], rows };
}

function bars(market, limit) {
  const all = market.summaries().flatMap(({ symbol }) => market.bars(symbol, '1m').map((bar) => [symbol, bar]));
  const rows = all.slice(0, limit).map(([symbol, bar]) =>
    [symbol, bar.ts_start.replace('T', ' ').replace('Z', '+00'), bar.open, bar.high, bar.low, bar.close, bar.volume, String(bar.revision)]);
  return { columns: TABLES['gold.bar_15m'], rows, isComplete: all.length <= limit };
}

function closes(market) {
  const [{ symbol }] = market.summaries();
  const rows = market.bars(symbol, '15m').map((bar) => [bar.ts_start.replace('T', ' ').replace('Z', '+00'), bar.close]);
  return { columns: [['ts_start', 'timestamp with time zone'], ['close', 'numeric']], rows };
}

function answerOf(market, sql, limit) {
  if (/^select ts_start, close /.test(sql)) return closes(market);
  if (/information_schema\.columns/.test(sql)) return columnsOf();
  if (/bi\.coverage/.test(sql)) return coverage(market);
  if (/bi\.quality_daily/.test(sql)) return quality(market);
  if (/silver\.quarantine/.test(sql)) return reasons();
  if (/bi\.quotes_latest/.test(sql)) return quotes(market);
  return bars(market, limit);
}

/** Answers `POST /api/v1/query` as JSON lines; a text with `slow` takes until it is left, one with `nope` fails. */
export async function query(market, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { sql, limit = 10_000 } = JSON.parse(Buffer.concat(chunks).toString());
  const line = (value) => response.write(`${JSON.stringify(value)}\n`);
  const nope = sql.split('\n').findIndex((text) => text.includes('nope'));
  if (nope >= 0) {
    response.writeHead(422, { 'content-type': 'application/json' });
    const [place, column] = [nope + 1, sql.split('\n')[nope].indexOf('nope') + 1];
    response.end(JSON.stringify({ error: { code: 'query_failed', message: 'column "nope" does not exist', sqlstate: '42703', hint: null, line: place, column } }));
    return;
  }
  const { columns, rows, isComplete = true } = answerOf(market, sql, limit);
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  line({ columns: columns.map(([name, type]) => ({ name, type })) });
  if (/slow/.test(sql)) return;
  for (const row of rows) line(row);
  line({ rows: rows.length, is_complete: isComplete, took_ms: 12 });
  response.end();
}

export const connections = {
  postgres: { host: 'localhost', port: 5439, user: 'marketlake', database: 'marketlake' },
  sharing_endpoint: 'http://127.0.0.1:8080/delta-sharing',
  has_sql: true,
};
