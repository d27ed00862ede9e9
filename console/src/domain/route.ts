// Addresses of the console's pages, all behind the `#`: deep links work on any static server.
import { INTERVALS, type Interval } from '../api/types';

/** The pages without an address of their own below them. */
export const PLAIN_PAGES = ['sql', 'pipeline', 'lineage', 'quality', 'coverage', 'connect'] as const;
export type PlainPage = (typeof PLAIN_PAGES)[number];

export type Route = { page: 'markets'; symbol: string | null; interval: Interval } | { page: PlainPage };

/** `poll.interval` as it is by default; shorter bars need other settings. */
export const DEFAULT_INTERVAL: Interval = '15m';

export function isInterval(text: string | null): text is Interval {
  return INTERVALS.some((interval) => interval === text);
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text) || null;
  } catch {
    return null;
  }
}

/** Any address has a route; what is not understood leads to the markets. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [page, symbol] = path.split('/');
  const plain = PLAIN_PAGES.find((one) => one === page);
  if (plain) return { page: plain };
  const interval = new URLSearchParams(query).get('interval');
  return {
    page: 'markets',
    symbol: symbol ? decode(symbol) : null,
    interval: isInterval(interval) ? interval : DEFAULT_INTERVAL,
  };
}

export function routeHash(route: Route): string {
  if (route.page !== 'markets') return `#/${route.page}`;
  const symbol = route.symbol ? `/${encodeURIComponent(route.symbol)}` : '';
  return `#/markets${symbol}?interval=${route.interval}`;
}
