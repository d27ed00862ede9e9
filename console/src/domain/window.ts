// Which rows of a long list are in sight.

export interface Slice {
  first: number;
  /** One behind the last. */
  end: number;
}

/** The rows to draw: those in sight, and `spare` above and below, so that a quick hand finds no hole. */
export function sliceInSight(rows: number, rowPx: number, scrollPx: number, heightPx: number, spare: number): Slice {
  const first = Math.min(Math.max(0, Math.floor(scrollPx / rowPx) - spare), rows);
  const end = Math.min(rows, Math.ceil((scrollPx + heightPx) / rowPx) + spare);
  return { first, end: Math.max(first, end) };
}
