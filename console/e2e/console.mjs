// Walks through the console in a real browser, against the mock or a real server.
//
//   BASE_URL     where the console is, such as http://127.0.0.1:8080
//   SCREENSHOTS  folder for pictures (optional)
//   PATIENCE     seconds to wait for data and for a price to move (60)
//   CHROMIUM     the browser's program (found by itself on most systems)
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openBrowser } from './browser.mjs';
import { closesOfTable, countCandlePixels, pictureOfCandles, PIXELS_MIN } from './chart.mjs';
import { watchRequests } from './requests.mjs';
import { sqlSteps } from './sql.mjs';

const base = process.env.BASE_URL?.replace(/\/?$/, '/');
const folder = process.env.SCREENSHOTS;
const patience = Number(process.env.PATIENCE ?? 60) * 1000;
if (!base) {
  console.error('BASE_URL is missing: the address of a running console');
  process.exit(2);
}
if (folder) mkdirSync(folder, { recursive: true });

const wide = { width: 1440, height: 900 };
const phone = { width: 360, height: 740 };
const { page, complaints, close } = await openBrowser({ viewport: wide, colorScheme: 'dark' });
const requests = watchRequests(page);
const outside = [];
page.on('request', (request) => {
  const url = new URL(request.url());
  if (url.protocol.startsWith('http') && url.origin !== new URL(base).origin) outside.push(request.url());
});

function check(isTrue, message) {
  if (!isTrue) throw new Error(message);
}

async function picture(name) {
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
}

const chart = () => page.getByTestId('chart');

/** Waits until the chart has bars of what is asked for, be it shown or its table, and returns how many. */
async function barsOf(symbol, interval) {
  const at = `[data-testid="chart"][data-symbol="${symbol}"][data-interval="${interval}"]:not([data-bars="0"])`;
  await page.waitForSelector(at, { timeout: patience, state: 'attached' });
  return Number(await chart().getAttribute('data-bars'));
}

const prices = async () => (await page.locator('[data-testid^="price-"]').allTextContents()).join();

/** Waits until `look` finds no problem any more. */
async function until(what, look) {
  const end = Date.now() + patience;
  for (;;) {
    const problem = await look();
    if (!problem) return;
    if (Date.now() > end) throw new Error(`${what}: ${problem}`);
    await page.waitForTimeout(200);
  }
}

/** Waits until both kinds of candles can be seen. */
async function seeCandles() {
  await until('the chart', async () => {
    const { up, down } = await countCandlePixels(page, await pictureOfCandles(page));
    return Math.min(up, down) < PIXELS_MIN && `${up} pixels of rising candles, ${down} of falling ones`;
  });
}

/** Waits until the table shows the closes that the API serves. The newest bar is left out: it moves. */
async function compareCloses(symbol, interval) {
  const url = new URL(`api/v1/bars?symbol=${encodeURIComponent(symbol)}&interval=${interval}&limit=200`, base);
  await until(`closes of ${interval}`, async () => {
    const { bars } = await (await page.request.get(url.href)).json();
    const shown = await closesOfTable(page);
    const wrong = bars.slice(0, -1).filter((bar) => shown.get(Date.parse(bar.ts_start)) !== Number(bar.close));
    if (wrong.length > 0) {
      const [{ ts_start: start, close }] = wrong;
      return `${wrong.length} of ${bars.length} differ; that of ${start} is ${close}, shown is ${shown.get(Date.parse(start))}`;
    }
    return bars.length < 2 && `only ${bars.length} bars are served`;
  });
}

const scene = {
  symbol: '',
  slow: `select count(*) as slow from ${Array.from({ length: 8 }, (_, at) => `gold.bar_15m as b${at}`).join(', ')} where b0.close + b7.close > 0`,
  // Whatever the lake holds, crossed until there is enough of it.
  long: 'select a.symbol, a.ts_start, b.close from gold.bar_15m a cross join gold.bar_15m b',
  drawn: "select ts_start, close from gold.bar_15m where symbol = (select min(symbol) from gold.bar_15m) order by ts_start",
};

/** The page with all it needs for its first paint, as it travels. */
const FIRST_PAINT_BYTES_MAX = 200_000;

const steps = {
  async 'the console opens and shows candles'() {
    await page.goto(base);
    const first = page.locator('[data-testid^="symbol-"]').first();
    await first.waitFor({ timeout: patience });
    scene.symbol = await first.getAttribute('data-symbol');
    await page.waitForURL((url) => url.hash.includes(encodeURIComponent(scene.symbol)), { timeout: patience });
    check((await barsOf(scene.symbol, '15m')) > 0, 'no bars');
    await page.waitForSelector('[data-testid="chart"] canvas');
    await page.waitForSelector('[data-testid="chart"] #tv-attr-logo', { state: 'visible' });
    await seeCandles();
    const sizes = await page.evaluate(() => performance.getEntries()
      .filter((entry) => entry.transferSize > 0 && !entry.name.includes('/api/'))
      .map((entry) => [entry.name, entry.transferSize]));
    const sum = sizes.reduce((total, [, size]) => total + size, 0);
    check(sizes.length > 3 && sum < FIRST_PAINT_BYTES_MAX, `the first paint takes ${sum} bytes: ${JSON.stringify(sizes)}`);
  },

  async 'the stream alone moves prices and candles'() {
    await page.waitForSelector('[data-testid="live-state"][data-state="live"]', { timeout: patience });
    // The polls would move them as well, only later.
    const release = await requests.hold(/\/api\/v1\/(symbols|quotes|bars)\b/);
    try {
      const pricesBefore = await prices();
      const closeBefore = await chart().getAttribute('data-last-close');
      const pictureBefore = await pictureOfCandles(page);
      await until('prices', async () => (await prices()) === pricesBefore && 'they stand still');
      await until('the last close', async () => (await chart().getAttribute('data-last-close')) === closeBefore && 'it stands still');
      await until('the drawing', async () => (await pictureOfCandles(page)).equals(pictureBefore) && 'it stands still');
    } finally {
      await release();
    }
  },

  async 'every interval shows the closes of the API'() {
    await page.getByTestId('form-table').click();
    for (const interval of ['1m', '5m', '1h', '1d', '15m']) {
      await page.getByTestId(`interval-${interval}`).click();
      check((await barsOf(scene.symbol, interval)) > 0, `no bars of ${interval}`);
      await compareCloses(scene.symbol, interval);
    }
    await page.getByTestId('form-chart').click();
    await page.goBack();
    await barsOf(scene.symbol, '1d');
    await page.goForward();
    await barsOf(scene.symbol, '15m');
  },

  async 'a feed without short bars leads to the shortest it has'() {
    const isShort = (url) => url.pathname.endsWith('/bars') && ['1m', '5m'].includes(url.searchParams.get('interval'));
    await page.route(isShort, (route) => route.fulfill({ json: { bars: [] } }));
    // Never answered: minutes of this stream would be bars.
    await page.route('**/api/v1/stream*', () => undefined);
    try {
      await page.goto(new URL(`#/markets/${encodeURIComponent(scene.symbol)}?interval=5m`, base).href);
      await page.reload();
      await page.getByTestId('coarser').getByRole('link').click({ timeout: patience });
      check((await barsOf(scene.symbol, '15m')) > 0, 'no bars');
    } finally {
      await page.unroute(isShort);
      await page.unroute('**/api/v1/stream*');
      await page.reload();
    }
    await barsOf(scene.symbol, '15m');
  },

  async 'both themes are there and are remembered'() {
    const theme = page.getByTestId('theme');
    const becomes = (wanted) => until(`the theme that should be ${wanted}`, async () => {
      const [said, seen] = [await theme.getAttribute('data-theme-now'), await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)];
      return (said !== wanted || seen !== wanted) && `it is ${seen}, and is said to be ${said}`;
    });
    await becomes('dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await becomes('light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await becomes('dark');
    await page.waitForTimeout(500);
    await seeCandles();
    await picture('markets-dark');
    await theme.click();
    await becomes('light');
    await page.waitForTimeout(500);
    await seeCandles();
    await picture('markets-light');
    await page.reload();
    await barsOf(scene.symbol, '15m');
    await becomes('light');
  },

  async 'the watchlist obeys arrow keys and the filter'() {
    const rows = page.locator('[data-testid^="symbol-"]');
    if ((await rows.count()) > 1) {
      await rows.first().focus();
      await page.keyboard.press('ArrowDown');
      const second = await rows.nth(1).getAttribute('data-symbol');
      await barsOf(second, '15m');
      await page.keyboard.press('ArrowUp');
      await barsOf(scene.symbol, '15m');
    }
    await page.getByTestId('filter').fill(scene.symbol);
    check((await page.getByTestId(`symbol-${scene.symbol}`).count()) === 1, 'the filter loses the symbol');
    await page.getByTestId('filter').fill('');
  },

  async 'the crosshair follows keys and the table says the same'() {
    await chart().focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(() => [...document.querySelectorAll('p[role="status"]')].some((node) => node.textContent.includes('close')));
    await page.keyboard.press('Escape');
    await page.getByTestId('form-table').click();
    const rows = page.locator('[data-testid="bar-table"] tbody tr');
    await rows.first().waitFor();
    check((await rows.count()) > 0, 'the table is empty');
    await page.getByTestId('zone-utc').click();
    await picture('table-light');
    await page.getByTestId('zone-exchange').click();
    await page.getByTestId('form-chart').click();
  },

  async 'the pipeline shows its stages and tables'() {
    await page.getByTestId('nav-pipeline').click();
    for (const name of ['vendor', 'poll', 'topic', 'land', 'load', 'refine', 'serve']) {
      await page.getByTestId(`stage-${name}`).waitFor({ timeout: patience });
    }
    await page.locator('[data-testid^="table-"]').first().waitFor({ timeout: patience });
    await page.waitForTimeout(3_000);
    await picture('pipeline-light');
    await page.getByTestId('theme').click();
    await picture('pipeline-dark');
  },

  ...sqlSteps({ page, base, scene, check, until, patience, picture, complaints }),

  async 'the lineage shows what a table is made of'() {
    await page.getByTestId('nav-lineage').click();
    const bar = page.getByTestId('item-silver.bar');
    await bar.waitFor({ timeout: patience });
    await bar.click();
    await page.mouse.move(0, 0);
    const dimmed = (id) => page.getByTestId(`item-${id}`).evaluate((node) => node.classList.contains('other'));
    check(!(await dimmed('vendor')) && !(await dimmed('gold.bar_1m')), 'kin is dimmed');
    check(await dimmed('silver.quarantine'), 'a stranger is not');
    await picture('lineage-kin');
  },

  async 'quality and coverage count what the lake holds'() {
    await page.getByTestId('nav-quality').click();
    await page.locator('[data-testid="quality-daily"] tbody th').first().waitFor({ timeout: patience });
    await page.getByTestId('nav-coverage').click();
    await page.locator('[data-testid="coverage"] tbody th').first().waitFor({ timeout: patience });
    await page.getByTestId('coverage-filter').fill(scene.symbol);
    const symbols = await page.locator('[data-testid="coverage"] tbody th').allTextContents();
    check(symbols.includes(scene.symbol), `the filter leaves ${symbols}`);
  },

  async 'the connect page leads to the API description'() {
    await page.goto(new URL('#/connect', base).href);
    await page.getByTestId('client-powerbi').waitFor({ timeout: patience });
    const href = await page.getByTestId('openapi').getAttribute('href');
    const answer = await page.request.get(new URL(href, base).href);
    check(answer.ok() && (await answer.json()).openapi, 'no OpenAPI description');
    await picture('connect-dark');
  },

  async 'everything fits a phone'() {
    await page.setViewportSize(phone);
    for (const [name, hash] of [['markets', `#/markets/${encodeURIComponent(scene.symbol)}?interval=15m`], ['pipeline', '#/pipeline']]) {
      await page.goto(new URL(hash, base).href);
      if (name === 'markets') await barsOf(scene.symbol, '15m');
      else await page.locator('h1').first().waitFor();
      await page.waitForTimeout(700);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      check(width <= phone.width, `${name} is ${width} px wide on ${phone.width}`);
      await picture(`${name}-phone`);
    }
    await page.setViewportSize(wide);
  },

  async 'nothing was fetched from elsewhere and no page complained'() {
    check(outside.length === 0, `fetched from elsewhere: ${outside.join(', ')}`);
    check(complaints.length === 0, `complaints:\n  ${complaints.join('\n  ')}`);
  },

  async 'a lost connection is shown and heals, and leaves no hole'() {
    await page.goto(new URL(`#/markets/${encodeURIComponent(scene.symbol)}?interval=1m`, base).href);
    await page.waitForSelector('[data-testid="live-state"][data-state="live"]', { timeout: patience });
    // The mock can cut the stream; of a real server only the next connection can be kept away.
    const cut = await page.request.post(new URL('__mock/cut?seconds=3', base).href).catch(() => null);
    const isCut = cut?.headers()['content-type']?.includes('json') && cut.ok();
    if (!isCut) {
      await page.route('**/api/v1/stream*', (route) => route.abort());
      await page.reload();
    }
    await page.waitForSelector('[data-testid="live-state"][data-state="reconnecting"]', { timeout: patience });
    await picture('reconnecting');
    if (!isCut) await page.unroute('**/api/v1/stream*');
    await page.waitForSelector('[data-testid="live-state"][data-state="live"]', { timeout: patience });
    await page.getByTestId('form-table').click();
    await compareCloses(scene.symbol, '1m');
  },
};

let failures = 0;
for (const [name, run] of Object.entries(steps)) {
  const start = performance.now();
  try {
    await run();
    console.log(`ok    ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  ${name}: ${error.message}`);
    await picture(`failure-${failures}`).catch(() => undefined);
  }
}
await close();
process.exit(failures > 0 ? 1 : 0);
