// Writes `notices.txt` into the build: the licenses of the packages whose code is in it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGE = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/;

function noticeOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : `License: ${license}`;
  return `${name} ${version} (${license})\n\n${text}\n`;
}

/** A Vite plugin. */
export function notices() {
  return {
    name: 'marketlake-notices',
    apply: 'build',
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((chunk) => (chunk.type === 'chunk' ? Object.keys(chunk.modules) : []));
      const folders = new Map(modules.flatMap((id) => {
        const match = PACKAGE.exec(id);
        return match ? [[match[1], match[0]]] : [];
      }));
      const texts = [...folders].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, folder]) => noticeOf(folder));
      this.emitFile({ type: 'asset', fileName: 'notices.txt', source: texts.join(`\n${'-'.repeat(72)}\n\n`) });
    },
  };
}
