// Serves the built console and the mock API with the real server's headers, for tests and a look.
// Usage: node dev/mock.mjs [--port 0] [--seed 7] [--speed 30]
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createMock } from './mock/api.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'";

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    seed: { type: 'string', default: '7' },
    speed: { type: 'string', default: '30' },
  },
});
const mock = createMock({ seed: Number(values.seed), speed: Number(values.speed) });

function serveFile(request, response) {
  const path = normalize(decodeURIComponent(new URL(request.url, 'http://mock').pathname));
  if (path.startsWith('/api/')) {
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { code: 'not_found', message: `no \`${path}\`` } }));
    return;
  }
  let file = join(DIST, path);
  if (!existsSync(file) || !statSync(file).isFile()) file = join(DIST, 'index.html');
  const type = TYPES[extname(file)] ?? 'application/octet-stream';
  const isSmaller = existsSync(`${file}.gz`);
  if (isSmaller) file += '.gz';
  response.writeHead(200, {
    'content-type': type,
    ...(isSmaller ? { 'content-encoding': 'gzip' } : {}),
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
  });
  createReadStream(file).pipe(response);
}

const server = createServer((request, response) => {
  mock.handle(request, response, () => serveFile(request, response));
});
server.listen(Number(values.port), '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${server.address().port}\n`);
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    mock.stop();
    server.closeAllConnections();
    server.close();
  });
}
