// The HTTP API over the mock market, as a handler for Node's http module or Vite's dev server.
import { Market } from './market.mjs';
import { connections, query } from './query.mjs';
import { status } from './status.mjs';

const TICK_MS = 400;
const HEARTBEAT_MS = 15_000;
/** Enough to resume after a reload; beyond it the client refetches anyway. */
const BACKLOG_MAX = 2_000;

function sendJson(response, code, body) {
  response.writeHead(code, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

function sendError(response, code, name, message) {
  sendJson(response, code, { error: { code: name, message } });
}

function barsAnswer(market, query, response) {
  const symbol = query.get('symbol');
  const interval = query.get('interval') ?? '1m';
  if (!['1m', '5m', '15m', '1h', '1d'].includes(interval)) {
    return sendError(response, 400, 'invalid_parameter', `unknown interval \`${interval}\``);
  }
  const all = symbol && market.bars(symbol, interval);
  if (!all) return sendError(response, 404, 'unknown_symbol', `no bars of \`${symbol}\``);
  const from = Date.parse(query.get('from') ?? '') || -Infinity;
  const to = Date.parse(query.get('to') ?? '') || Infinity;
  const limit = Math.min(Number(query.get('limit') ?? 1000), 10_000);
  const bars = all.filter((bar) => Date.parse(bar.ts_start) >= from && Date.parse(bar.ts_start) < to).slice(-limit);
  return sendJson(response, 200, { symbol, interval, bars });
}

/** Starts a market that lives until `stop`; `handle(request, response, next)` answers `/api/v1/`. */
export function createMock({ seed = 7, speed = 30 }) {
  const market = new Market({ seed, speed });
  const streams = new Set();
  const backlog = [];
  let eventId = 0;
  let refuseUntil = 0;

  const write = (stream, event) => {
    if (stream.symbols && !stream.symbols.has(event.bar.symbol)) return;
    stream.response.write(`event: bar\nid: ${event.id}\ndata: ${JSON.stringify(event.bar)}\n\n`);
  };
  market.listeners.add((bar) => {
    eventId += 1;
    const event = { id: `${Math.floor(eventId / 12)}-${eventId % 12}`, bar };
    backlog.push(event);
    if (backlog.length > BACKLOG_MAX) backlog.shift();
    for (const stream of streams) write(stream, event);
  });
  const tick = setInterval(() => market.advance(TICK_MS), TICK_MS);
  const beat = setInterval(() => {
    for (const { response } of streams) response.write(': heartbeat\n\n');
  }, HEARTBEAT_MS);

  function openStream(request, query, response) {
    const symbols = query.get('symbols');
    const stream = { response, symbols: symbols ? new Set(symbols.split(',')) : null };
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': connected\n\n');
    const at = backlog.findIndex((event) => event.id === request.headers['last-event-id']);
    if (at >= 0) for (const event of backlog.slice(at + 1)) write(stream, event);
    streams.add(stream);
    response.on('close', () => streams.delete(stream));
  }

  /** Ends every stream and answers 503 for a while: `POST /__mock/cut?seconds=5`. */
  function cut(query, response) {
    refuseUntil = Date.now() + Number(query.get('seconds') ?? 5) * 1000;
    for (const stream of streams) stream.response.destroy();
    sendJson(response, 200, { refused_until: new Date(refuseUntil).toISOString() });
  }

  const routes = {
    '/api/v1/health': (_, __, response) => sendJson(response, 200, { status: 'ok', release: '0.1.0' }),
    '/api/v1/status': (_, __, response) => sendJson(response, 200, status(market)),
    '/api/v1/symbols': (_, __, response) => sendJson(response, 200, { symbols: market.summaries() }),
    '/api/v1/bars': (_, query, response) => barsAnswer(market, query, response),
    '/api/v1/quotes': (_, query, response) => sendJson(response, 200, {
      quotes: (query.get('symbols') ?? '').split(',').map((symbol) => market.quote(symbol)).filter(Boolean),
    }),
    '/api/v1/query': (request, _, response) => query(market, request, response),
    '/api/v1/connect': (_, __, response) => sendJson(response, 200, connections),
    '/api/v1/stream': openStream,
    '/api/v1/openapi.json': (_, __, response) => sendJson(response, 200, { openapi: '3.1.0', info: { title: 'mock', version: '0' }, paths: {} }),
    '/__mock/cut': (_, query, response) => cut(query, response),
  };

  return {
    handle(request, response, next) {
      const url = new URL(request.url, 'http://mock');
      const isCancel = request.method === 'DELETE' && url.pathname.startsWith('/api/v1/query/');
      if (isCancel) return response.writeHead(204).end();
      const route = routes[url.pathname];
      if (!route) return next();
      if (Date.now() < refuseUntil) return sendError(response, 503, 'unavailable', 'the mock is told to refuse');
      return route(request, url.searchParams, response);
    },
    stop() {
      clearInterval(tick);
      clearInterval(beat);
      for (const stream of streams) stream.response.destroy();
    },
  };
}
