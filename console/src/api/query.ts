// SQL over HTTP: rows as they come, and the addresses of downloads.
import { ApiError, apiUrl, errorFrom, errorOf } from './client';

export interface Column {
  name: string;
  /** PostgreSQL's name of the type. */
  type: string;
}

/** Values are PostgreSQL's texts: no number passes through a float on its way to the eye. */
export type Row = (string | null)[];

export interface Ending {
  rows: number;
  is_complete: boolean;
  took_ms: number;
}

export interface QuerySink {
  onColumns: (columns: Column[]) => void;
  onRows: (rows: Row[]) => void;
}

export interface QueryResult {
  columns: Column[];
  rows: Row[];
  ending: Ending;
}

export type FileFormat = 'csv' | 'parquet';

/** The server takes 16 KiB of address and headers together. */
const ADDRESS_CHARS_MAX = 8_000;

type Line = Row | { columns: Column[] } | Ending | { error: object };

/** Runs a statement; what it answers is handed on as it arrives. Aborting `signal` ends it. */
export async function runQuery(
  body: { sql: string; limit?: number; id?: string },
  sink: QuerySink,
  signal?: AbortSignal,
): Promise<Ending> {
  let response: Response;
  try {
    response = await fetch(apiUrl('query'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify(body),
      ...(signal ? { signal } : {}),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError('unreachable', 'the server does not answer', 0);
  }
  if (!response.ok || !response.body) throw await errorOf(response);
  const ending = await readLines(response.body, sink);
  if (!ending) throw new ApiError('cut', 'the answer was cut off before its end', response.status);
  return ending;
}

async function readLines(body: ReadableStream<Uint8Array>, sink: QuerySink): Promise<Ending | null> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let ending: Ending | null = null;
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    const rows: Row[] = [];
    for (const line of lines) {
      const item = JSON.parse(line) as Line;
      if (Array.isArray(item)) rows.push(item);
      else if ('columns' in item) sink.onColumns(item.columns);
      else if ('error' in item) throw errorFrom(item, 200);
      else ending = item;
    }
    if (rows.length > 0) sink.onRows(rows);
    if (done) return ending;
  }
}

/** Runs a statement of ours whose result is small, and returns all of it. */
export async function fetchQuery(sql: string, limit: number, signal?: AbortSignal): Promise<QueryResult> {
  const result: Omit<QueryResult, 'ending'> = { columns: [], rows: [] };
  const ending = await runQuery({ sql, limit }, {
    onColumns: (columns) => (result.columns = columns),
    onRows: (rows) => result.rows.push(...rows),
  }, signal);
  return { ...result, ending };
}

/** Ends a statement on the server, also where a proxy keeps the request open. */
export async function cancelQuery(id: string): Promise<void> {
  await fetch(apiUrl(`query/${id}`), { method: 'DELETE' });
}

/** The address of a result as a file; null when the statement is too long for one. */
export function resultUrl(sql: string, format: FileFormat): string | null {
  const url = apiUrl('query', { sql, format });
  return url.length <= ADDRESS_CHARS_MAX ? url : null;
}

export const tableUrl = (table: string, format: FileFormat): string => apiUrl(`tables/${table}`, { format });
