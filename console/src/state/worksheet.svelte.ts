// The SQL page's state: what is written, what runs, what came of it. It outlives a look at another page.
import { ApiError, isAbort, messageOf } from '../api/client';
import { cancelQuery, runQuery, type Column, type Ending, type Row } from '../api/query';
import { offsetOf, place, statementAt } from '../domain/sql';
import { loadHistory, remember, saveHistory } from './history';
import { read, write } from './storage';

/** What the grid holds: as many rows as anybody scrolls through. Downloads have all of them. */
export const ROWS_MAX = 10_000;
const KEY = 'sql.text';
const WELCOME = `-- Ctrl+Enter runs the statement at the cursor, Esc cancels it.
select symbol, ts, price, previous_close, change_percent, volume
from bi.quotes_latest
order by symbol;
`;

export interface Failure {
  message: string;
  hint: string | null;
  /** Where in the text. */
  at: number | null;
  place: string | null;
}

/** 128 bits by chance; `randomUUID` exists only where there is TLS. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

class Worksheet {
  text = $state(read(KEY) ?? WELCOME);
  /** The statement whose result is shown. */
  sql = $state<string | null>(null);
  columns = $state.raw<Column[]>([]);
  rows = $state.raw<Row[]>([]);
  ending = $state.raw<Ending | null>(null);
  failure = $state.raw<Failure | null>(null);
  isRunning = $state(false);
  isCanceled = $state(false);
  history = $state.raw<string[]>(loadHistory());
  #running: { id: string; controller: AbortController } | null = null;

  write(text: string): void {
    this.text = text;
    write(KEY, text);
  }

  /** Puts a statement beside what is written, which stays; returns where it begins. */
  place(sql: string): number {
    const { text, at } = place(this.text === WELCOME ? '' : this.text, sql);
    this.write(text);
    return at;
  }

  /** Runs the statement at `at`, in place of the one that runs. */
  async run(at: number): Promise<void> {
    this.cancel();
    const statement = statementAt(this.text, at);
    if (!statement.text) return;
    const running = { id: newId(), controller: new AbortController() };
    this.#running = running;
    const isOurs = (): boolean => this.#running === running;
    this.sql = statement.text;
    this.columns = [];
    this.rows = [];
    this.ending = null;
    this.failure = null;
    this.isCanceled = false;
    this.isRunning = true;
    this.history = remember(this.history, statement.text);
    saveHistory(this.history);
    try {
      const ending = await runQuery({ sql: statement.text, limit: ROWS_MAX, id: running.id }, {
        onColumns: (columns) => isOurs() && (this.columns = columns),
        onRows: (rows) => isOurs() && (this.rows = [...this.rows, ...rows]),
      }, running.controller.signal);
      if (isOurs()) this.ending = ending;
    } catch (cause) {
      if (isOurs() && !isAbort(cause)) this.failure = failureOf(cause, statement);
    } finally {
      if (isOurs()) {
        this.isRunning = false;
        this.#running = null;
      }
    }
  }

  /** Ends the statement that runs: by its name, and by leaving. What came of it so far stays. */
  cancel(): void {
    const running = this.#running;
    if (!running) return;
    this.#running = null;
    this.isRunning = false;
    this.isCanceled = true;
    void cancelQuery(running.id).catch(() => undefined);
    running.controller.abort();
  }

  forget(): void {
    this.history = [];
    saveHistory([]);
  }
}

function failureOf(cause: unknown, statement: { text: string; start: number }): Failure {
  const said = cause instanceof ApiError ? cause.statement : null;
  const isPlaced = said?.line != null && said.column != null;
  return {
    message: messageOf(cause),
    hint: said?.hint ?? null,
    at: isPlaced ? statement.start + offsetOf(statement.text, said.line!, said.column!) : null,
    place: isPlaced ? `line ${said.line}, column ${said.column} of the statement` : null,
  };
}

export const worksheet = new Worksheet();
