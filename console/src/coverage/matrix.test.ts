// A hole of the data has to be a hole of the matrix.
import { expect, it } from 'vitest';
import { levelOf, matrixOf } from './matrix';

const row = (symbol: string, date: string, missing: string) => ({
  symbol, date, bars: '26', first_ts: `${date} 14:30:00`, last_ts: `${date} 20:45:00`, minutes_missing: missing,
});

it('has every symbol and every date, and says where nothing is', () => {
  const { dates, lines } = matrixOf([row('MSFT', '2026-01-06', '0'), row('AAPL', '2026-01-05', '15'), row('MSFT', '2026-01-05', '16')]);
  expect(dates).toEqual(['2026-01-06', '2026-01-05']);
  expect(lines.map((line) => [line.symbol, line.missing, line.cells.map(levelOf)])).toEqual([
    ['AAPL', 15, ['none', 'few']], ['MSFT', 16, ['whole', 'many']],
  ]);
  expect(matrixOf([])).toEqual({ dates: [], lines: [] });
});
