// Half-written statements are the usual case: completion and tokens have to bear them.
import { describe, expect, it } from 'vitest';
import { offsetOf, place, statementAt, suggest, tablesIn, tokenize, type Table } from './sql';

const tables: Table[] = [
  { schema: 'gold', name: 'bar_1m', columns: [{ name: 'symbol', type: 'text' }, { name: 'close', type: 'numeric' }] },
  { schema: 'gold', name: 'eod', columns: [{ name: 'adj_close', type: 'numeric' }] },
  { schema: 'silver', name: 'bar', columns: [{ name: 'revision', type: 'integer' }] },
];
const at = (marked: string): [string, number] => [marked.replace('|', ''), marked.indexOf('|')];
const names = (marked: string): string[] => suggest(...at(marked), tables).items.map((item) => item.text);

describe('tokens', () => {
  it('cover the text, whatever it is', () => {
    for (const text of ["select 'it''s' -- x\n, \"a b\".c/* y */ 1.5;", "'open", '"open', '/* open', 'ü€\u{1F600}', '']) {
      expect(tokenize(text).map((token) => token.text).join('')).toBe(text);
    }
    expect(tokenize("Select x 'from'").filter((token) => token.kind !== 'space').map((token) => token.kind))
      .toEqual(['keyword', 'name', 'string']);
  });
});

describe('the statement that is meant', () => {
  it('is the one around the cursor, or the one before it', () => {
    const meant = (marked: string): string => statementAt(...at(marked)).text;
    expect(meant('select 1|; select 2')).toBe('select 1');
    expect(meant('select 1; sel|ect 2;')).toBe('select 2');
    expect(meant("select ';' |; select 2")).toBe("select ';'");
    expect(meant('select 1;\n-- nothing more\n|')).toBe('select 1');
    expect(meant('|  ')).toBe('');
    expect(statementAt('a;\n  b', 5)).toEqual({ text: 'b', start: 5 });
  });
});

describe('a statement that is brought back', () => {
  it('comes first, and what was written stays', () => {
    expect(place('', 'select 1')).toEqual({ text: 'select 1;\n', at: 0 });
    expect(place('  \n', 'select 1').text).toBe('select 1;\n');
    const { text, at: start } = place('select half of', 'select 1');
    expect(text).toBe('select 1;\n\nselect half of');
    expect(statementAt(text, start).text).toBe('select 1');
    expect(statementAt(text, text.length).text).toBe('select half of');
  });

  it('is found where it stands already', () => {
    const text = 'select 1;\n-- the second\nselect 2;\nselect 3';
    expect(place(text, '-- the second\nselect 2')).toEqual({ text, at: 10 });
    expect(place(text, 'select 3')).toEqual({ text, at: text.length - 8 });
    expect(place(place(text, 'select 4').text, 'select 4').text).toBe(place(text, 'select 4').text);
  });

  it('ends before the next one begins', () => {
    const sql = 'select 1 -- as it was';
    const { text } = place('select 2', sql);
    expect(statementAt(text, 0).text).toBe(sql);
    expect(statementAt(text, text.length).text).toBe('select 2');
  });
});

describe('completion', () => {
  it('knows schemas, tables and keywords', () => {
    expect(names('select * from go|')).toEqual(['gold']);
    expect(names('select * from gold.|')).toEqual(['bar_1m', 'eod']);
    expect(names('select * from ba|')).toEqual(['bar_1m', 'bar']);
    expect(names('wh|')).toEqual(['when', 'where']);
  });

  it('knows the columns of the tables that are named, also by an alias', () => {
    expect(names('select cl| from gold.bar_1m')).toEqual(['close']);
    expect(names('select b.| from gold.bar_1m as b')).toEqual(['symbol', 'close']);
    expect(names('select e.| from gold.bar_1m b join gold.eod e')).toEqual(['adj_close']);
    expect(names('select rev| from gold.bar_1m')).toEqual([]);
    expect(names('select 1 from gold.eod; select rev| from silver.bar')).toEqual(['revision']);
  });

  it('stays silent in texts and comments, and where nothing is begun', () => {
    for (const marked of ["select 'go|", '-- go|', 'select |', 'select symbol|', '|']) expect(names(marked)).toEqual([]);
  });

  it('tells tables of one name apart by their schema', () => {
    expect([...tablesIn('from silver.bar', tables).values()].map((table) => table.schema)).toEqual(['silver']);
  });
});

describe('a place of the server', () => {
  it('is found in the text', () => {
    expect(offsetOf('select\n  x', 2, 3)).toBe(9);
    expect(offsetOf('x', 9, 9)).toBe(1);
  });
});
