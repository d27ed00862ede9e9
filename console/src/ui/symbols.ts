// Symbols that a few letters may mean, the likeliest first.

export interface Named {
  symbol: string;
  name: string | null;
}

/** A list to choose from, not to read. */
const FOUND_MAX = 8;

/** The exact symbol, then symbols that begin so, names of which a word begins so, and what contains it. */
export function findSymbols<T extends Named>(rows: readonly T[], typed: string): T[] {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return [];
  const rank = ({ symbol, name }: T): number => {
    const [short, long] = [symbol.toLowerCase(), (name ?? '').toLowerCase()];
    if (short === wanted) return 0;
    if (short.startsWith(wanted)) return 1;
    if (long.split(/[\s&.,-]+/).some((word) => word.startsWith(wanted)) || long.startsWith(wanted)) return 2;
    return short.includes(wanted) || long.includes(wanted) ? 3 : 4;
  };
  return rows
    .map((row) => ({ row, rank: rank(row) }))
    .filter((one) => one.rank < 4)
    .sort((a, b) => a.rank - b.rank || a.row.symbol.localeCompare(b.row.symbol))
    .slice(0, FOUND_MAX)
    .map((one) => one.row);
}
