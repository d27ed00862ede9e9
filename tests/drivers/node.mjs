// Drives the SQL port with node-postgres, as programs in JavaScript do. Standard input is a JSON
// object: the address, and what to ask; standard output another with what was found.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import Cursor from 'pg-cursor';

const { url, tables, rows, pages, endless, errors } = JSON.parse(readFileSync(0, 'utf8'));
const client = new pg.Client({ connectionString: url });
await client.connect();
const found = {};

// Types as OIDs, values as the driver makes them; a Date becomes its ISO text.
const shown = ({ fields, rows }) => ({
  fields: fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
  rows: rows.map((row) => fields.map(({ name }) => row[name])),
});

found.tables = (await client.query(tables)).rows;
// Simple protocol, extended protocol, and a statement with a name, prepared once.
found.simple = shown(await client.query(rows.literal));
found.extended = shown(await client.query(rows.text, rows.values));
const named = { name: 'bars', text: rows.text, values: rows.values };
await client.query(named);
found.named = shown(await client.query(named));

const cursor = client.query(new Cursor(pages.text, pages.values));
found.pages = [];
for (;;) {
  const page = await cursor.read(pages.size);
  if (page.length === 0) break;
  found.pages.push(page.length);
}
await cursor.close();

// A cursor that is closed early leaves the connection as it was.
const left = client.query(new Cursor(pages.text, pages.values));
found.left = (await left.read(pages.size)).length;
await left.close();

// node-postgres asks the server to cancel by a second connection.
const { processID } = client;
const running = client.query(endless).then(() => 'ended', (error) => error.message);
const asked = setInterval(() => {
  const other = new pg.Client({ connectionString: url });
  other.connection.once('connect', () => other.connection.cancel(processID, client.secretKey));
  other.connection.on('error', () => {});
  other.connection.connect(client.port, client.host);
}, 500);
found.cancelled = await running;
clearInterval(asked);
found.after = (await client.query('SELECT 1 AS one')).rows;

found.errors = {};
for (const [name, text] of Object.entries(errors)) {
  found.errors[name] = await client.query(text).then(() => null, (error) => error.code);
}
await client.end();
process.stdout.write(JSON.stringify(found));
