// A tiny client of the HTTP API: one function per endpoint, one error type.
import type { BarsAnswer, Connections, Health, Interval, PipelineStatus, Quote, SymbolSummary } from './types';

/** Longer than any answer a healthy server gives, short enough to show an outage soon. */
const TIMEOUT_MS = 10_000;

/** What went wrong, in words fit to show. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
    readonly statement: StatementError | null = null,
  ) {
    super(message);
  }
}

/** What a failed statement adds to its message. */
export interface StatementError {
  sqlstate: string;
  hint: string | null;
  line: number | null;
  column: number | null;
}

export function apiUrl(path: string, params: Record<string, string | number | undefined> = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined) query.set(key, String(value));
  }
  const text = query.toString();
  // Relative to the page, so that a reverse proxy may put the console below a path.
  return new URL(`api/v1/${path}${text ? `?${text}` : ''}`, document.baseURI).href;
}

/** The error in an answer; of whatever else, what the status says. */
export function errorFrom(body: unknown, status: number): ApiError {
  const error = (body as { error?: { code?: string; message?: string } & Partial<StatementError> } | null)?.error;
  if (!error?.message) return new ApiError('http', `the server answered ${status}`, status);
  const { sqlstate, hint = null, line = null, column = null } = error;
  return new ApiError(error.code ?? 'unknown', error.message, status, sqlstate ? { sqlstate, hint, line, column } : null);
}

/** What is not the API's JSON is of a proxy. */
export async function errorOf(response: Response): Promise<ApiError> {
  return errorFrom(await response.json().catch(() => null), response.status);
}

async function get<T>(
  path: string,
  params: Record<string, string | number | undefined> = {},
  signal?: AbortSignal,
): Promise<T> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(apiUrl(path, params), {
      headers: { accept: 'application/json' },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError('unreachable', 'the server does not answer', 0);
  }
  if (!response.ok) throw await errorOf(response);
  return (await response.json()) as T;
}

export const fetchConnections = (signal?: AbortSignal): Promise<Connections> => get('connect', {}, signal);

export interface BarsQuery {
  symbol: string;
  interval: Interval;
  from?: string;
  to?: string;
  limit?: number;
}

export const fetchHealth = (): Promise<Health> => get('health');

export const fetchStatus = (signal?: AbortSignal): Promise<PipelineStatus> => get('status', {}, signal);

export const fetchSymbols = (signal?: AbortSignal): Promise<SymbolSummary[]> =>
  get<{ symbols: SymbolSummary[] }>('symbols', {}, signal).then((answer) => answer.symbols);

export const fetchBars = (query: BarsQuery, signal?: AbortSignal): Promise<BarsAnswer> =>
  get('bars', { ...query }, signal);

export const fetchQuote = (symbol: string, signal?: AbortSignal): Promise<Quote | null> =>
  get<{ quotes: Quote[] }>('quotes', { symbols: symbol }, signal).then(
    (answer) => answer.quotes.find((quote) => quote.symbol === symbol) ?? null,
  );

export function isAbort(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === 'AbortError';
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
