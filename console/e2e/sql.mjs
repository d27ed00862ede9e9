// The SQL page as people use it, against the mock or a real server: `steps(page, …)` for console.mjs.

/** The welcome text's statement, which every server answers. */
const QUOTES = 'select symbol, ts, price, volume from bi.quotes_latest order by symbol';

/** Steps of a walk through the page; `check` and `until` are the walk's own. */
export function sqlSteps({ page, base, scene, check, until, patience, picture, complaints }) {
  const editor = () => page.getByTestId('editor');
  const summary = async () => (await page.getByTestId('summary').textContent()).trim();

  async function write(sql) {
    await editor().fill(sql);
    await editor().press('Control+End');
  }

  async function ask(sql) {
    await write(sql);
    await page.keyboard.press('Control+Enter');
    await until('the result', async () => !/\brows?,? in \d/.test(await summary()) && `the page says “${await summary()}”`);
  }

  return {
    async 'a statement runs by the keyboard and its rows are those of the API'() {
      await page.goto(new URL('#/sql', base).href);
      await editor().waitFor({ timeout: patience });
      await ask(QUOTES);
      const { symbols } = await (await page.request.get(new URL('api/v1/symbols', base).href)).json();
      const shown = await page.locator('[data-testid="grid"] tbody tr[aria-rowindex] td:first-child').allTextContents();
      const wanted = symbols.filter((row) => row.price !== null).map((row) => row.symbol).sort();
      check(shown.join() === wanted.join(), `the grid has ${shown}, the API ${wanted}`);
      await picture('sql-result');
    },

    async 'names and keywords are completed by Tab'() {
      await page.locator('[data-testid^="tree-"]').first().waitFor({ state: 'attached', timeout: patience });
      await write('select * from bi.quotes_lat');
      await page.keyboard.press('Control+ ');
      await page.getByTestId('suggestions').getByText('quotes_latest').waitFor({ timeout: patience });
      await page.keyboard.press('Tab');
      check((await editor().inputValue()) === 'select * from bi.quotes_latest', await editor().inputValue());
      await write('sel');
      await page.keyboard.press('Control+ ');
      await page.keyboard.press('Escape');
      check(await page.getByTestId('suggestions').isHidden(), 'Escape leaves the suggestions open');
    },

    async 'a mistake is shown with its place'() {
      await write('select symbol,\n  nope\nfrom bi.quotes_latest');
      await page.keyboard.press('Control+Enter');
      await page.getByTestId('failure').waitFor({ timeout: patience });
      // The browser complains of every answer that is an error; this one is wanted.
      await until('the complaint', async () => !/422/.test(complaints.at(-1) ?? '') && 'it is missing');
      complaints.pop();
      const text = await page.getByTestId('failure').textContent();
      check(/nope/.test(text) && /line 2, column 3/.test(text), text);
      await page.getByTestId('failure').getByRole('button').click();
      check((await page.evaluate(() => document.getSelection().toString() || (({ value, selectionStart, selectionEnd }) => value.slice(selectionStart, selectionEnd))(document.activeElement))) === 'nope', 'the place is not selected');
      await picture('sql-failure');
    },

    async 'a long statement is canceled by Escape, and another one runs at once'() {
      await write(scene.slow);
      await page.keyboard.press('Control+Enter');
      await page.getByTestId('cancel').waitFor({ timeout: patience });
      await page.keyboard.press('Escape');
      await page.getByTestId('run').waitFor({ timeout: patience });
      check(/^Canceled/.test(await summary()), await summary());
      await ask(QUOTES);
      // The server may have seen the browser go before it was told to cancel.
      const late = complaints.findIndex((text) => /404/.test(text));
      if (0 <= late) complaints.splice(late, 1);
    },

    async 'ten thousand rows scroll as fast as ten'() {
      await write(scene.long);
      await page.keyboard.press('Control+Enter');
      await until('the rows', async () => !/10,000 rows/.test(await summary()) && `the page says “${await summary()}”`);
      const grid = page.getByTestId('grid');
      const drawn = () => page.locator('[data-testid="grid"] tbody tr').count();
      check((await drawn()) < 120, `${await drawn()} rows are drawn`);
      await grid.evaluate((node) => node.scrollTo(0, node.scrollHeight));
      await page.locator('[data-testid="grid"] tr[aria-rowindex="10001"]').waitFor({ timeout: patience });
      check((await drawn()) < 120, `${await drawn()} rows are drawn at the end`);
    },

    async 'a result with a time and a number is drawn, and its table says the same'() {
      await ask(scene.drawn);
      await page.getByTestId('result-chart').click();
      const image = page.getByTestId('plot').getByRole('img');
      await image.waitFor();
      const said = await image.getAttribute('aria-label');
      check(/^close by ts_start: \d+ points/.test(said), said);
      await picture('sql-chart');
      await page.getByTestId('result-table').click();
      await page.getByTestId('grid').waitFor();
    },

    async 'the history brings a statement back, and what is written stays'() {
      await write('select half of');
      await page.getByTestId('history').click();
      await page.locator('#sql-history').getByText(QUOTES).click();
      const text = await editor().inputValue();
      check(text.startsWith(QUOTES) && text.includes('select half of'), text);
    },

    async 'a symbol is found by the name of its company'() {
      await page.getByTestId('schema-tree').focus();
      await page.keyboard.press('/');
      await page.keyboard.type(scene.symbol.toLowerCase());
      await page.getByTestId(`found-${scene.symbol}`).waitFor({ timeout: patience });
      await page.keyboard.press('Enter');
      await page.waitForURL((url) => url.hash.startsWith(`#/markets/${encodeURIComponent(scene.symbol)}`), { timeout: patience });
    },
  };
}
