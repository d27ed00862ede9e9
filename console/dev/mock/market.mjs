// A seeded random walk of a dozen symbols: years of daily bars, a week of minutes, and a live market
// whose clock runs fast and skips the hours between sessions.

const MINUTE_MS = 60_000;
const SESSION_MINUTES = 390;
const DAILY_SESSIONS = 400;
const MINUTE_SESSIONS = 6;

const LISTINGS = [
  ['AAPL', 'Apple Inc', 18943, 520_000], ['AMZN', 'Amazon.com Inc', 17820, 410_000],
  ['BRK.B', 'Berkshire Hathaway Inc', 46105, 30_000], ['F', 'Ford Motor Company', 1104, 480_000],
  ['GOOGL', 'Alphabet Inc', 16788, 260_000], ['IBM', 'International Business Machines', 21451, 38_000],
  ['JPM', 'JPMorgan Chase & Co', 20975, 90_000], ['KO', 'The Coca-Cola Company', 6892, 130_000],
  ['META', 'Meta Platforms Inc', 56312, 140_000], ['MSFT', 'Microsoft Corporation', 41756, 210_000],
  ['NVDA', 'NVIDIA Corporation', 12161, 2_400_000], ['TSLA', 'Tesla Inc', 24892, 900_000],
];

function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const newYork = new Intl.DateTimeFormat('en-US', {
  timeZone: 'America/New_York', timeZoneName: 'longOffset',
});

/** The session's open on a date (`yyyy-mm-dd`), epoch milliseconds. */
function openOf(date) {
  const noon = Date.parse(`${date}T17:00:00Z`);
  const offset = newYork.formatToParts(noon).find((part) => part.type === 'timeZoneName').value.slice(3);
  return Date.parse(`${date}T09:30:00${offset}`);
}

function nextWeekday(date, step) {
  const day = new Date(`${date}T12:00:00Z`);
  do day.setUTCDate(day.getUTCDate() + step); while (day.getUTCDay() % 6 === 0);
  return day.toISOString().slice(0, 10);
}

const iso = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');
const price = (cents) => `${(Math.max(1, cents) / 100).toFixed(2)}0000`;
const volume = (count) => (count === null ? null : `${count}.0000`);

function barText(bar, symbol) {
  return {
    symbol, mic: 'XNAS', ts_start: iso(bar.start), ts_end: iso(bar.end),
    open: price(bar.open), high: price(bar.high), low: price(bar.low), close: price(bar.close),
    volume: volume(bar.volume), revision: bar.revision,
  };
}

function fold(bars, openMs, lengthMs) {
  const folded = [];
  for (const bar of bars) {
    const start = openMs + Math.floor((bar.start - openMs) / lengthMs) * lengthMs;
    const last = folded.at(-1);
    if (last?.start === start) {
      last.high = Math.max(last.high, bar.high);
      last.low = Math.min(last.low, bar.low);
      last.close = bar.close;
      last.volume = bar.volume === null ? last.volume : (last.volume ?? 0) + bar.volume;
      last.revision = Math.max(last.revision, bar.revision);
    } else {
      const end = Math.min(start + lengthMs, openMs + SESSION_MINUTES * MINUTE_MS);
      folded.push({ ...bar, start, end });
    }
  }
  return folded;
}

export class Market {
  constructor({ seed, speed, date = '2026-11-20' }) {
    this.speed = speed;
    this.random = random(seed);
    this.books = new Map();
    this.listeners = new Set();
    this.revisions = 0;
    this.sessions = [date];
    while (this.sessions.length < DAILY_SESSIONS) this.sessions.unshift(nextWeekday(this.sessions[0], -1));
    for (const [symbol, name, cents, turnover] of LISTINGS) this.books.set(symbol, this.history(symbol, name, cents, turnover));
    this.now = openOf(date) + 95 * MINUTE_MS;
    for (const book of this.books.values()) this.fill(book, this.now);
  }

  gauss() {
    return this.random() + this.random() + this.random() + this.random() - 2;
  }

  history(symbol, name, cents, turnover) {
    const book = { symbol, name, mic: symbol.length < 4 ? 'XNYS' : 'XNAS', cents, turnover, daily: [], days: [], previous: null };
    const coarse = this.sessions.slice(0, -MINUTE_SESSIONS);
    for (const date of coarse) {
      const start = openOf(date);
      const open = Math.round(book.cents * (1 + this.gauss() * 0.006));
      const close = Math.round(open * (1 + this.gauss() * 0.018));
      const swing = Math.round(open * Math.abs(this.gauss()) * 0.012) + 1;
      book.daily.push({
        start, end: start + SESSION_MINUTES * MINUTE_MS, open, close,
        high: Math.max(open, close) + swing, low: Math.max(1, Math.min(open, close) - swing),
        volume: Math.round(turnover * SESSION_MINUTES * (0.7 + this.random() * 0.6)), revision: 0,
      });
      book.cents = close;
    }
    book.previous = book.cents;
    this.sessions.slice(-MINUTE_SESSIONS, -1).forEach((date, at) => {
      this.startDay(book, date);
      this.fill(book, openOf(date) + SESSION_MINUTES * MINUTE_MS);
      // One symbol lacks a few minutes, so that holes can be seen.
      if (symbol === 'IBM' && at === 4) book.days.at(-1).bars.splice(340, 6);
    });
    this.startDay(book, this.sessions.at(-1));
    return book;
  }

  startDay(book, date) {
    if (book.days.length > 0) book.previous = book.days.at(-1).bars.at(-1).close;
    book.cents = Math.round(book.cents * (1 + this.gauss() * 0.008));
    book.days.push({ date, open: openOf(date), bars: [] });
  }

  /** Minute bars of the newest day up to a moment, complete ones. */
  fill(book, until) {
    const day = book.days.at(-1);
    for (let start = day.open + day.bars.length * MINUTE_MS; start < until; start += MINUTE_MS) {
      this.openBar(book, start);
      for (let step = 0; step < 4; step += 1) this.move(book);
    }
  }

  openBar(book, start) {
    const day = book.days.at(-1);
    const minute = (start - day.open) / MINUTE_MS;
    // Busy at the open and the close, as sessions are.
    const busy = 0.6 + 1.6 * Math.abs(minute / (SESSION_MINUTES / 2) - 1) ** 3;
    day.bars.push({
      start, end: start + MINUTE_MS, open: book.cents, high: book.cents, low: book.cents, close: book.cents,
      volume: this.random() < 0.004 ? null : Math.round(book.turnover * busy * 0.2), revision: 0,
    });
  }

  move(book) {
    const bar = book.days.at(-1).bars.at(-1);
    book.cents = Math.max(1, Math.round(book.cents * (1 + this.gauss() * 0.0007) + this.gauss()));
    bar.close = book.cents;
    bar.high = Math.max(bar.high, book.cents);
    bar.low = Math.min(bar.low, book.cents);
    if (bar.volume !== null) bar.volume += Math.round(book.turnover * this.random() * 0.3);
    return bar;
  }

  /** Lets `ms` of wall time pass. */
  advance(ms) {
    this.now += ms * this.speed;
    const date = this.sessions.at(-1);
    if (this.now >= openOf(date) + SESSION_MINUTES * MINUTE_MS) this.nextSession(date);
    for (const book of this.books.values()) {
      const day = book.days.at(-1);
      const minute = Math.floor((this.now - day.open) / MINUTE_MS);
      const start = day.open + minute * MINUTE_MS;
      const isNew = (day.bars.at(-1)?.start ?? -1) < start;
      if (isNew) this.openBar(book, start);
      else if (this.random() < 0.4) continue;
      else day.bars.at(-1).revision += 1;
      const bar = this.move(book);
      this.revisions += 1;
      for (const listener of this.listeners) listener({ ...barText(bar, book.symbol), mic: book.mic, interval: '1m' });
    }
  }

  nextSession(date) {
    const next = nextWeekday(date, 1);
    this.sessions.push(next);
    this.now = openOf(next);
    for (const book of this.books.values()) {
      this.fill(book, openOf(date) + SESSION_MINUTES * MINUTE_MS);
      this.startDay(book, next);
      this.openBar(book, openOf(next));
    }
  }

  bars(symbol, interval) {
    const book = this.books.get(symbol);
    if (!book) return null;
    const minutes = { '1m': 1, '5m': 5, '15m': 15, '1h': 60, '1d': 1440 }[interval];
    const recent = book.days.flatMap((day) => fold(day.bars, day.open, minutes * MINUTE_MS));
    const all = interval === '1d' ? [...book.daily, ...recent] : recent;
    return all.map(({ ...bar }) => {
      const { symbol: _, mic: __, ...text } = barText(bar, symbol);
      return text;
    });
  }

  quote(symbol) {
    const book = this.books.get(symbol);
    const day = book?.days.at(-1);
    const [bar] = day ? fold(day.bars, day.open, 1440 * MINUTE_MS) : [];
    if (!bar) return null;
    return {
      symbol, mic: book.mic, price: price(bar.close), open: price(bar.open), high: price(bar.high),
      low: price(bar.low), previous_close: price(book.previous), volume: volume(bar.volume),
      ts_quote: iso(day.bars.at(-1).start), session_date: day.date,
    };
  }

  summaries() {
    return [...this.books.values()].map((book) => {
      const quote = this.quote(book.symbol);
      const change = Math.round((Number(quote.price) - Number(quote.previous_close)) * 100);
      return {
        symbol: book.symbol, mic: book.mic, name: book.name, price: quote.price,
        change: `${change < 0 ? '-' : ''}${(Math.abs(change) / 100).toFixed(2)}0000`,
        change_percent: ((change / book.previous) * 100).toFixed(4),
        volume: quote.volume, ts_quote: quote.ts_quote,
      };
    });
  }
}
