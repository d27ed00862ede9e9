// The answer of a statement of ours that a page shows, asked when the page opens and on wish.
import { fetchQuery, type QueryResult, type Row } from '../api/query';
import { isAbort, messageOf } from '../api/client';

/** Rows as objects, by the names of the columns. */
export type Named = Record<string, string | null>;

export class Answer {
  rows = $state.raw<Named[]>([]);
  error = $state<string | null>(null);
  isLoading = $state(false);
  isLoaded = $state(false);
  isComplete = $state(true);
  readonly #sql: string;
  readonly #limit: number;

  constructor(sql: string, limit: number) {
    this.#sql = sql;
    this.#limit = limit;
  }

  /** Asks; the rows of before stay until the new ones are there. */
  async load(signal?: AbortSignal): Promise<void> {
    this.isLoading = true;
    try {
      const result = await fetchQuery(this.#sql, this.#limit, signal);
      this.rows = result.rows.map((row) => named(result, row));
      this.isComplete = result.ending.is_complete;
      this.isLoaded = true;
      this.error = null;
    } catch (cause) {
      if (!isAbort(cause)) this.error = messageOf(cause);
    } finally {
      this.isLoading = false;
    }
  }
}

const named = ({ columns }: QueryResult, row: Row): Named =>
  Object.fromEntries(columns.map((column, at) => [column.name, row[at] ?? null]));
