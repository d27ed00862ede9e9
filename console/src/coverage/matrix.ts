// Coverage as a matrix: a line for each symbol, a column for each trading date.
import type { Named } from '../state/answer.svelte';

export interface Cell {
  bars: number;
  missing: number;
  first: string;
  last: string;
}

export interface Matrix {
  /** Newest first, as people look for yesterday before they look for last month. */
  dates: string[];
  lines: { symbol: string; cells: (Cell | null)[]; missing: number }[];
}

export type Level = 'whole' | 'few' | 'many' | 'none';

/** A minute here and there is how quiet symbols trade; a quarter of an hour is worth a look. */
const FEW_MINUTES = 15;

export function levelOf(cell: Cell | null): Level {
  if (!cell) return 'none';
  if (cell.missing === 0) return 'whole';
  return cell.missing <= FEW_MINUTES ? 'few' : 'many';
}

export function matrixOf(rows: readonly Named[]): Matrix {
  const dates = [...new Set(rows.map((row) => row['date'] ?? ''))].sort().reverse();
  const bySymbol = new Map<string, Map<string, Cell>>();
  for (const row of rows) {
    const symbol = row['symbol'] ?? '';
    const cells = bySymbol.get(symbol) ?? new Map<string, Cell>();
    cells.set(row['date'] ?? '', {
      bars: Number(row['bars']), missing: Number(row['minutes_missing']), first: row['first_ts'] ?? '', last: row['last_ts'] ?? '',
    });
    bySymbol.set(symbol, cells);
  }
  const lines = [...bySymbol].sort(([a], [b]) => a.localeCompare(b)).map(([symbol, cells]) => ({
    symbol,
    cells: dates.map((date) => cells.get(date) ?? null),
    missing: [...cells.values()].reduce((sum, cell) => sum + cell.missing, 0),
  }));
  return { dates, lines };
}
