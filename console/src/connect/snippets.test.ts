// What is copied has to work where it is pasted.
import { describe, expect, it } from 'vitest';
import type { Connections } from '../api/types';
import { clients } from './snippets';

const told: Connections = {
  postgres: { host: 'lake.example', port: 6543, user: 'analyst', database: 'marketlake' }, sharing_endpoint: 'https://lake.example/delta-sharing', has_sql: true,
};
const all = (connections: Connections | null, symbol = "O'X") =>
  clients(new URL('http://lake.example/console/'), symbol, connections).flatMap((group) => group.clients);
const textOf = (connections: Connections | null, id: string): string => JSON.stringify(all(connections).find((client) => client.id === id));

describe('the clients', () => {
  it('are told where this server is', () => {
    for (const id of ['powerbi', 'psql', 'python', 'jdbc', 'grafana', 'metabase', 'superset', 'dbeaver', 'excel']) {
      expect(textOf(told, id), id).toMatch(/lake\.example.*6543/);
    }
    expect(textOf(told, 'http')).toContain('http://lake.example/console/api/v1/bars?symbol=O');
    expect(textOf(told, 'sharing')).toContain('https://lake.example/delta-sharing');
  });

  it('hold no quote that a symbol brings along', () => {
    expect(textOf(told, 'psql')).toContain("symbol = 'O''X'");
  });

  it('are those that this server has', () => {
    const ids = all({ postgres: null, sharing_endpoint: null, has_sql: false }).map((client) => client.id);
    expect(ids).toEqual(['http', 'live', 'sharing']);
    expect(textOf({ ...told, sharing_endpoint: null }, 'sharing')).toContain('switched off');
    expect(textOf(null, 'psql')).toContain('5439');
  });
});
