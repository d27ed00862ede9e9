// Holds requests of a page back, so that what still moves moves without them.

/** The client gives an answer up after ten seconds. */
const ANSWERS_MS = 15_000;

/** Watches a page's requests; `hold(pattern)` keeps matching ones waiting until what it returns is called. */
export function watchRequests(page) {
  const underWay = new Set();
  page.on('request', (request) => underWay.add(request));
  page.on('requestfinished', (request) => underWay.delete(request));
  page.on('requestfailed', (request) => underWay.delete(request));

  async function hold(pattern) {
    const held = new Map();
    await page.route(pattern, (route) => void held.set(route.request(), route));
    // What was asked before would still be answered.
    const end = Date.now() + ANSWERS_MS;
    while ([...underWay].some((request) => pattern.test(request.url()) && !held.has(request))) {
      if (Date.now() > end) throw new Error(`answers to ${pattern} are under way without end`);
      await page.waitForTimeout(50);
    }
    return async () => {
      await page.unroute(pattern);
      // The page has given up on some of them.
      await Promise.all([...held.values()].map((route) => route.continue().catch(() => undefined)));
    };
  }

  return { hold };
}
