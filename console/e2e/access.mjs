// Every page in both themes, on a desk and on a phone: clean of WCAG 2.2 AA by axe-core, no wider than the
// screen, and every control reached by the Tab key with a focus that can be seen.
//
//   BASE_URL, SCREENSHOTS, PATIENCE, CHROMIUM   as for console.mjs
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openBrowser } from './browser.mjs';

const base = process.env.BASE_URL?.replace(/\/?$/, '/');
const folder = process.env.SCREENSHOTS;
const patience = Number(process.env.PATIENCE ?? 60) * 1000;
if (!base) {
  console.error('BASE_URL is missing: the address of a running console');
  process.exit(2);
}
if (folder) mkdirSync(folder, { recursive: true });

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 360, height: 740 } };
/** More steps than any page has controls: a Tab that never comes back is a trap. */
const TABS_MAX = 400;

/** Each page, and what is there once it has its data. */
const PAGES = {
  markets: { hash: '#/markets', ready: '[data-testid="chart"]:not([data-bars="0"])' },
  sql: { hash: '#/sql', ready: '[data-testid="grid"] tbody tr' },
  pipeline: { hash: '#/pipeline', ready: '[data-testid^="table-"]' },
  lineage: { hash: '#/lineage', ready: '[data-testid="item-silver.bar"]' },
  quality: { hash: '#/quality', ready: '[data-testid="quality-daily"] tbody th' },
  coverage: { hash: '#/coverage', ready: '[data-testid="coverage"] tbody th' },
  connect: { hash: '#/connect', ready: '[data-testid="client-powerbi"]' },
};

const { page, complaints, close } = await openBrowser({ viewport: SIZES.wide, colorScheme: 'light' });
const problems = [];

async function open(name) {
  const { hash, ready } = PAGES[name];
  await page.goto(new URL(hash, base).href);
  await page.locator('h1, [data-testid="chart"]').first().waitFor({ state: 'attached', timeout: patience });
  if (name === 'sql') {
    await page.getByTestId('editor').click();
    await page.keyboard.press('Control+Enter');
  }
  await page.locator(ready).first().waitFor({ state: 'attached', timeout: patience });
}

/** Runs in the page's own world, past the policy that keeps scripts of others out. */
async function audit(where) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags }), TAGS);
  for (const { id, help, nodes } of violations) {
    problems.push(`${where}: ${id} (${help}) at ${nodes.slice(0, 3).map((node) => node.target.join(' ')).join(', ')}`);
  }
}

async function measure(where, width) {
  const real = await page.evaluate(() => document.documentElement.scrollWidth);
  if (real > width) problems.push(`${where}: ${real} px wide on ${width}`);
}

/** Tabs once around; every control that can be used has to come by, and to show that it has. */
async function walk(where) {
  const wanted = await page.evaluate(() => {
    const controls = [...document.querySelectorAll('a[href], button:enabled, input:enabled, select, textarea, summary, [tabindex="0"]')];
    const seen = controls.filter((node) => node.checkVisibility({ checkVisibilityCSS: true }));
    seen.forEach((node, at) => (node.dataset.walk = String(at)));
    document.activeElement?.blur();
    return seen.length;
  });
  const reached = new Set();
  for (let step = 0; step < TABS_MAX && reached.size < wanted; step += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const node = document.activeElement;
      const isSeen = (one) => {
        const style = getComputedStyle(one);
        return style.outlineStyle !== 'none' || style.boxShadow !== 'none';
      };
      // A field without an outline of its own lies in a frame that has one.
      const shows = isSeen(node) || (node.closest('label') !== null && isSeen(node.closest('label')));
      return { walk: node.dataset?.walk, shows, name: node.dataset?.testid ?? node.textContent?.trim().slice(0, 30) };
    });
    if (at.walk === undefined) continue;
    if (!reached.has(at.walk) && !at.shows) problems.push(`${where}: the focus on “${at.name}” cannot be seen`);
    reached.add(at.walk);
  }
  if (reached.size < wanted) {
    const lost = await page.evaluate((known) => [...document.querySelectorAll('[data-walk]')]
      .filter((node) => !known.includes(node.dataset.walk) && node.isConnected)
      .map((node) => node.dataset.testid ?? node.textContent?.trim().slice(0, 30)), [...reached]);
    if (lost.length > 0) problems.push(`${where}: Tab does not reach ${lost.slice(0, 5).join(', ')}`);
  }
}

for (const [size, viewport] of Object.entries(SIZES)) {
  await page.setViewportSize(viewport);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const name of Object.keys(PAGES)) {
      const where = `${name}, ${colorScheme}, ${size}`;
      const before = problems.length;
      try {
        await open(name);
        await audit(where);
        await measure(where, viewport.width);
        if (folder) await page.screenshot({ path: join(folder, `access-${name}-${colorScheme}-${size}.png`), fullPage: size === 'phone' });
        // The order of controls is the same in both themes.
        if (colorScheme === 'light') await walk(where);
      } catch (error) {
        problems.push(`${where}: ${error.message}`);
      }
      console.log(`${problems.length === before ? 'ok   ' : 'FAIL '} ${where}`);
    }
  }
}
problems.push(...complaints);
for (const problem of problems) console.log(problem);
await close();
process.exit(problems.length > 0 ? 1 : 0);
