// Build, dev server and unit tests. `npm run dev` answers the API from the mock market, unless
// MARKETLAKE_URL names a running marketlake to proxy to.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { compress } from './dev/compress.mjs';
import { notices } from './dev/notices.mjs';

const target = process.env['MARKETLAKE_URL'];

function mockApi(): Plugin {
  return {
    name: 'marketlake-mock-api',
    apply: 'serve',
    async configureServer(server) {
      if (target || process.env['VITEST']) return;
      const { createMock } = await import('./dev/mock/api.mjs');
      const mock = createMock({});
      server.middlewares.use(mock.handle);
      server.httpServer?.on('close', () => mock.stop());
    },
  };
}

export default defineConfig({
  // Relative addresses, so that the console also works below a path of a reverse proxy.
  base: './',
  plugins: [svelte(), mockApi(), notices(), compress()],
  build: {
    target: 'es2022',
    // The policy forbids `data:` fonts and scripts; a file is as cheap.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // lightweight-charts is about 190 kB before compression, and a chunk of its own.
    chunkSizeWarningLimit: 256,
  },
  server: {
    host: '127.0.0.1',
    ...(target ? { proxy: { '/api': target, '/metrics': target } } : {}),
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
