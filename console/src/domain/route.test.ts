// Addresses and routes are inverse to each other.
import { describe, expect, it } from 'vitest';
import { parseRoute, routeHash } from './route';

describe('routes', () => {
  it('survive the way through an address', () => {
    for (const hash of ['#/markets/AAPL?interval=5m', '#/markets/BRK.B?interval=1d', '#/pipeline', '#/connect']) {
      expect(routeHash(parseRoute(hash))).toBe(hash);
    }
  });

  it('fall back to the markets', () => {
    for (const hash of ['', '#', '#/', '#/nowhere', '#/markets/%E0%A4%A?interval=2y']) {
      expect(parseRoute(hash), hash).toEqual({ page: 'markets', symbol: null, interval: '15m' });
    }
  });
});
