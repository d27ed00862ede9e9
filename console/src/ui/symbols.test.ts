// A few letters find what is most likely meant.
import { expect, it } from 'vitest';
import { findSymbols } from './symbols';

const rows = [
  { symbol: 'AAPL', name: 'Apple Inc' }, { symbol: 'F', name: 'Ford Motor Company' }, { symbol: 'FDX', name: null },
  { symbol: 'KO', name: 'The Coca-Cola Company' }, { symbol: 'META', name: 'Meta Platforms Inc' },
];
const found = (typed: string): string[] => findSymbols(rows, typed).map((row) => row.symbol);

it('finds symbols before names, and beginnings before the middle', () => {
  expect(found('f')).toEqual(['F', 'FDX', 'META']);
  expect(found('apple')).toEqual(['AAPL']);
  expect(found('cola')).toEqual(['KO']);
  expect(found('Comp')).toEqual(['F', 'KO']);
  expect(found(' ')).toEqual([]);
  expect(found('zzz')).toEqual([]);
});
