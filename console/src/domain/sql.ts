// SQL as text under a cursor: its words, what may come next, and the statement that is meant.

export type TokenKind = 'keyword' | 'name' | 'string' | 'number' | 'comment' | 'sign' | 'space';

export interface Token {
  kind: TokenKind;
  text: string;
  start: number;
}

export const KEYWORDS = [
  'all', 'and', 'as', 'asc', 'between', 'by', 'case', 'cast', 'cross', 'current_date', 'date', 'desc', 'distinct',
  'else', 'end', 'except', 'exists', 'explain', 'extract', 'false', 'filter', 'first', 'following', 'from', 'full',
  'group', 'having', 'in', 'inner', 'intersect', 'interval', 'is', 'join', 'last', 'left', 'like', 'limit', 'not',
  'null', 'nulls', 'offset', 'on', 'or', 'order', 'outer', 'over', 'partition', 'preceding', 'right', 'row', 'rows',
  'select', 'table', 'then', 'timestamp', 'true', 'unbounded', 'union', 'using', 'values', 'when', 'where', 'with',
] as const;

const KNOWN = new Set<string>(KEYWORDS);

/** Functions that people ask for; any other one works as well. */
export const FUNCTIONS = [
  'abs', 'avg', 'coalesce', 'count', 'date_trunc', 'first_value', 'greatest', 'lag', 'last_value', 'lead', 'least',
  'max', 'min', 'now', 'nullif', 'rank', 'round', 'row_number', 'stddev', 'sum',
] as const;

// A quote that is not closed runs to the end, so that a half-written text has tokens, too.
const PATTERN =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|("(?:[^"]|"")*(?:"|$)|[\p{L}_][\p{L}\p{N}_$]*)|(\d+(?:\.\d+)?)|(\s+)|([\s\S])/uy;

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  PATTERN.lastIndex = 0;
  for (let match = PATTERN.exec(text); match; match = PATTERN.exec(text)) {
    const [part, comment, string, word, number, space] = match;
    const kind: TokenKind = comment !== undefined ? 'comment'
      : string !== undefined ? 'string'
        : word !== undefined ? (KNOWN.has(word.toLowerCase()) ? 'keyword' : 'name')
          : number !== undefined ? 'number'
            : space !== undefined ? 'space' : 'sign';
    tokens.push({ kind, text: part, start: match.index });
  }
  return tokens;
}

/** The statement around `at`, without its semicolon. Between two it is the one before. */
export function statementAt(text: string, at: number): Statement {
  const said = statementsIn(text);
  const { text: meant, start } = said.findLast((one) => one.from <= at) ?? said[0] ?? { text: '', start: 0 };
  return { text: meant, start };
}

/** Puts a statement in front of what is written, which stays, or finds it there; `at` is where it begins. */
export function place(text: string, sql: string): { text: string; at: number } {
  const found = statementsIn(text).find((one) => one.text === sql);
  if (found) return { text, at: found.start };
  // Behind a comment that has no end yet, the semicolon would be a part of it.
  const end = statementAt(`${sql};`, 0).text === sql ? ';' : '\n;';
  return { text: `${sql}${end}\n${text.trim() ? `\n${text}` : ''}`, at: 0 };
}

export interface Statement {
  text: string;
  /** Where its first character is. */
  start: number;
}

/** The statements that say something; `from` is where the one before has ended. */
function statementsIn(text: string): (Statement & { from: number })[] {
  const parts: { from: number; end: number }[] = [];
  let from = 0;
  for (const token of tokenize(text)) {
    if (token.kind !== 'sign' || token.text !== ';') continue;
    parts.push({ from, end: token.start });
    from = token.start + 1;
  }
  parts.push({ from, end: text.length });
  const isSaid = (part: string): boolean =>
    tokenize(part).some((token) => token.kind !== 'space' && token.kind !== 'comment');
  return parts
    .map((one) => ({ from: one.from, part: text.slice(one.from, one.end) }))
    .filter(({ part }) => isSaid(part))
    .map(({ from, part }) => ({ from, text: part.trim(), start: from + part.length - part.trimStart().length }));
}

export interface Table {
  schema: string;
  name: string;
  columns: { name: string; type: string }[];
}

export interface Suggestion {
  text: string;
  /** What it is, beside it. */
  note: string;
}

/** Longer lists are for reading on, not for choosing from. */
const SUGGESTIONS_MAX = 12;

const unquoted = (word: string): string => word.replace(/^"|"$/g, '').toLowerCase();

/** The tables that the text names, by the names it gives them. */
export function tablesIn(text: string, tables: Table[]): Map<string, Table> {
  const words = tokenize(text).filter((token) => token.kind !== 'space' && token.kind !== 'comment');
  const found = new Map<string, Table>();
  words.forEach((word, at) => {
    if (word.kind !== 'name') return;
    const hasSchema = words[at - 1]?.text === '.' && words[at - 2] !== undefined;
    const schema = hasSchema ? unquoted(words[at - 2]!.text) : null;
    const table = tables.find((one) => one.name === unquoted(word.text) && (schema === null || one.schema === schema));
    if (!table) return;
    found.set(table.name, table);
    const next = words[at + 1]?.text.toLowerCase() === 'as' ? words[at + 2] : words[at + 1];
    if (next?.kind === 'name') found.set(unquoted(next.text), table);
  });
  return found;
}

/** What may be meant by the word that ends at `at`; `start` is where that word begins. */
export function suggest(text: string, at: number, tables: Table[]): { start: number; items: Suggestion[] } {
  const before = text.slice(0, at);
  const nothing = { start: at, items: [] };
  const inside = tokenize(before).at(-1);
  if (inside?.kind === 'string' || inside?.kind === 'comment') return nothing;
  const match = /(?:([\p{L}_][\p{L}\p{N}_$]*)\.)?([\p{L}_][\p{L}\p{N}_$]*)?$/u.exec(before);
  const [, owner, prefix = ''] = match ?? [];
  if (!owner && !prefix) return nothing;
  const start = at - prefix.length;
  const wanted = prefix.toLowerCase();
  const meant = tablesIn(statementAt(text, at).text, tables);
  const items: Suggestion[] = [];
  const add = (name: string, note: string): void => {
    const isNew = !items.some((item) => item.text === name);
    if (isNew && name.toLowerCase().startsWith(wanted) && name.toLowerCase() !== wanted) items.push({ text: name, note });
  };
  if (owner) {
    for (const column of meant.get(owner.toLowerCase())?.columns ?? []) add(column.name, column.type);
    for (const table of tables) if (table.schema === owner.toLowerCase()) add(table.name, 'table');
  } else {
    for (const table of new Set(meant.values())) for (const column of table.columns) add(column.name, column.type);
    for (const schema of new Set(tables.map((table) => table.schema))) add(schema, 'schema');
    for (const table of tables) add(table.name, table.schema);
    for (const word of KEYWORDS) add(word, 'keyword');
    for (const name of FUNCTIONS) add(name, 'function');
  }
  return { start, items: items.slice(0, SUGGESTIONS_MAX) };
}

/** Where line and column of the server, counted from 1, lie in the text. */
export function offsetOf(text: string, line: number, column: number): number {
  const lines = text.split('\n').slice(0, line - 1);
  const before = lines.reduce((sum, one) => sum + one.length + 1, 0);
  return Math.min(before + Math.max(0, column - 1), text.length);
}
