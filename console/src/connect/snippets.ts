// The commands of the connect page, with this server's address already in them.
import { DEFAULT_INTERVAL } from '../domain/route';

/** `postgres.bind` and `postgres.user` as they are by default. */
const SQL_PORT = 5439;
const SQL_USER = 'marketlake';

export interface SnippetGroup {
  title: string;
  text: string;
  commands: string[];
}

export function snippets(base: URL, symbol: string): SnippetGroup[] {
  const api = `${base.href}api/v1`;
  const host = base.hostname.replace(/^\[|\]$/g, '');
  const safe = encodeURIComponent(symbol);
  return [
    {
      title: 'SQL',
      text: `Any PostgreSQL client connects: psql, JDBC, ODBC, Power BI. Port and user are these unless your settings name others; the password was printed at the first start.`,
      commands: [
        `psql "host=${host} port=${SQL_PORT} user=${SQL_USER} dbname=marketlake"`,
        `select ts_start, open, high, low, close, volume\nfrom gold.bar_${DEFAULT_INTERVAL}\nwhere symbol = '${symbol.replaceAll("'", "''")}'\norder by ts_start desc\nlimit 20;`,
      ],
    },
    {
      title: 'HTTP',
      text: 'JSON. Prices and volumes are decimal text, so that no program rounds them unasked; times are UTC.',
      commands: [
        `curl '${api}/bars?symbol=${safe}&interval=${DEFAULT_INTERVAL}&limit=20'`,
        `curl '${api}/quotes?symbols=${safe}'`,
      ],
    },
    {
      title: 'Live bars',
      text: 'Server-sent events: every new bar and every revision, as it is committed.',
      commands: [`curl -N '${api}/stream?symbols=${safe}'`],
    },
  ];
}
