// How each client is connected, with this server's addresses already in it.
import type { Connections } from '../api/types';
import { DEFAULT_INTERVAL } from '../domain/route';

/** `postgres.bind` and `postgres.user` as they are by default, until the server has told its own. */
const DEFAULTS: Connections = {
  postgres: { host: 'localhost', port: 5439, user: 'marketlake', database: 'marketlake' },
  sharing_endpoint: null,
  has_sql: true,
};

export interface Download {
  text: string;
  /** Relative to the page. */
  href: string;
}

export interface Client {
  id: string;
  title: string;
  /** What it is for, and what to look out for. */
  text: string;
  /** Fields of a dialog, to be copied one by one. */
  fields?: [string, string][];
  commands?: { label: string; text: string }[];
  downloads?: Download[];
}

export interface Group {
  title: string;
  clients: Client[];
}

interface Door {
  host: string;
  port: number;
  user: string;
  database: string;
}

const fieldsOf = ({ host, port, user, database }: Door): [string, string][] => [
  ['Host', host], ['Port', String(port)], ['Database', database], ['User', user],
];

function biTools(door: Door): Client[] {
  const { host, port, user, database } = door;
  const files = 'api/v1/connect/powerbi/marketlake';
  return [
    {
      id: 'powerbi', title: 'Power BI',
      text: 'The project has pages, measures and relationships, and opens in Desktop as it is. The small files are for a report of your own. Each asks for the password; the addresses are in them.',
      fields: [['Server', `${host}:${port}`], ['Database', database], ['User', user]],
      downloads: [
        { text: 'Project, import', href: `${files}-import.zip` }, { text: 'Project, DirectQuery', href: `${files}-directquery.zip` },
        { text: '.pbids, import', href: `${files}-import.pbids` }, { text: '.pbids, DirectQuery', href: `${files}-directquery.pbids` },
      ],
    },
    {
      id: 'excel', title: 'Excel and ODBC',
      text: 'With the driver psqlODBC (x64, Unicode). In Excel: Data, Get Data, From Other Sources, From ODBC, and this connection string.',
      commands: [{ label: 'Connection string', text: `Driver={PostgreSQL Unicode(x64)};Server=${host};Port=${port};Database=${database};Uid=${user};ReadOnly=1;` }],
    },
    {
      id: 'grafana', title: 'Grafana',
      text: 'Data source PostgreSQL, TLS mode “disable” on this machine. Times are in columns with a zone, so $__timeFilter(ts_start) works.',
      fields: [['Host URL', `${host}:${port}`], ['Database name', database], ['Username', user]],
    },
    { id: 'metabase', title: 'Metabase', text: 'Database type PostgreSQL. The schema bi has the keys by which Metabase joins.', fields: fieldsOf(door) },
    {
      id: 'superset', title: 'Superset',
      text: 'Database, SQLAlchemy URI. Replace PASSWORD; Superset keeps it encrypted.',
      commands: [{ label: 'URI', text: `postgresql+psycopg2://${user}:PASSWORD@${host}:${port}/${database}` }],
    },
    { id: 'dbeaver', title: 'DBeaver', text: 'New connection, PostgreSQL. Leave “Show all databases” off: there is one.', fields: fieldsOf(door) },
  ];
}

function programs(door: Door, quoted: string): Client[] {
  const { host, port, user, database } = door;
  return [
    {
      id: 'psql', title: 'psql', text: 'It asks for the password, which was printed at the first start.',
      commands: [
        { label: 'Command', text: `psql "host=${host} port=${port} user=${user} dbname=${database}"` },
        { label: 'First query', text: `select ts_start, open, high, low, close, volume\nfrom gold.bar_${DEFAULT_INTERVAL}\nwhere symbol = ${quoted}\norder by ts_start desc\nlimit 20;` },
      ],
    },
    {
      id: 'python', title: 'Python', text: 'psycopg 3; prices arrive as Decimal, times with their zone.',
      commands: [{ label: 'Script', text: `import os, psycopg\n\nwith psycopg.connect(host="${host}", port=${port}, user="${user}", dbname="${database}",\n                     password=os.environ["MARKETLAKE_PASSWORD"]) as lake:\n    for row in lake.execute("select * from bi.quotes_latest order by symbol"):\n        print(row)` }],
    },
    {
      id: 'jdbc', title: 'JDBC', text: 'The driver is org.postgresql. Large results page by themselves with a fetch size inside a transaction.',
      commands: [{ label: 'URL', text: `jdbc:postgresql://${host}:${port}/${database}?user=${user}&defaultRowFetchSize=10000` }],
    },
  ];
}

function web(api: string, symbol: string, hasSql: boolean): Client[] {
  const safe = encodeURIComponent(symbol);
  const sql: Client = {
    id: 'files', title: 'CSV and Parquet',
    text: 'A table or the result of a query as a file. In CSV a null is nothing between two commas, an empty text is "". An answer that is cut ends without its last chunk, so that curl fails.',
    commands: [
      { label: 'Table', text: `curl -fOJ '${api}/tables/gold.bar_${DEFAULT_INTERVAL}?format=parquet&symbols=${safe}&from=2026-01-01'` },
      { label: 'Query', text: `curl -fG '${api}/query' -d format=csv --data-urlencode 'sql=select * from bi.quotes_latest' -o quotes.csv` },
    ],
  };
  return [
    {
      id: 'http', title: 'JSON', text: 'Prices and volumes are decimal text, so that no program rounds them unasked; times are UTC.',
      commands: [
        { label: 'Bars', text: `curl '${api}/bars?symbol=${safe}&interval=${DEFAULT_INTERVAL}&limit=20'` },
        { label: 'Quotes', text: `curl '${api}/quotes?symbols=${safe}'` },
      ],
    },
    ...(hasSql ? [sql] : []),
    {
      id: 'live', title: 'Live bars', text: 'Server-sent events: every new bar and every revision, as it is committed.',
      commands: [{ label: 'Stream', text: `curl -N '${api}/stream?symbols=${safe}'` }],
    },
  ];
}

function sharing(endpoint: string | null): Client {
  const make: Client['commands'] = [{ label: 'Make a profile', text: 'marketlake sharing token --name analyst --shares market --expires 90d' }];
  if (endpoint === null) {
    return {
      id: 'sharing', title: 'Delta Sharing', text: 'Is switched off. Set serve.sharing.enabled to true in the settings, and restart what serves.', commands: make,
    };
  }
  return {
    id: 'sharing', title: 'Delta Sharing',
    text: 'For pandas, Spark, Power BI and every other client of the protocol. A profile holds a token of which only a hash is kept here, so it cannot be downloaded again: this command shows one, once.',
    fields: [['Endpoint', endpoint]],
    commands: [...make, { label: 'Python', text: 'import delta_sharing\n\nprofile = "analyst.share"\nprint(delta_sharing.SharingClient(profile).list_all_tables())\nbars = delta_sharing.load_as_pandas(f"{profile}#market.gold.bar_1d")' }],
  };
}

/** Every client, by what people know it as. */
export function clients(base: URL, symbol: string, told: Connections | null): Group[] {
  const connections = told ?? DEFAULTS;
  const groups: Group[] = [];
  const quoted = `'${symbol.replaceAll("'", "''")}'`;
  if (connections.postgres) {
    groups.push({ title: 'BI tools', clients: biTools(connections.postgres) });
    groups.push({ title: 'Programs and terminals', clients: programs(connections.postgres, quoted) });
  }
  groups.push({ title: 'HTTP', clients: web(`${base.href}api/v1`, symbol, connections.has_sql) });
  groups.push({ title: 'Open sharing', clients: [sharing(connections.sharing_endpoint)] });
  return groups;
}
