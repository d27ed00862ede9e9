// The statements of this browser that ran, newest first: bounded, each once, and never sent anywhere.
import { read, write } from './storage';

/** A long afternoon's statements. */
const STATEMENTS_MAX = 50;
/** Longer ones are pasted, not typed; together they stay far below what browsers keep. */
const STATEMENT_CHARS_MAX = 10_000;
const KEY = 'sql.history';

/** Puts a statement in front. */
export function remember(history: readonly string[], sql: string): string[] {
  if (!sql || sql.length > STATEMENT_CHARS_MAX) return [...history];
  return [sql, ...history.filter((one) => one !== sql)].slice(0, STATEMENTS_MAX);
}

/** What was kept; whatever is no list of texts counts as nothing. */
export function loadHistory(): string[] {
  try {
    const kept: unknown = JSON.parse(read(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter((one): one is string => typeof one === 'string').slice(0, STATEMENTS_MAX) : [];
  } catch {
    return [];
  }
}

export const saveHistory = (history: readonly string[]): void => write(KEY, JSON.stringify(history));
