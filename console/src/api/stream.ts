// The live bars over server-sent events: reconnects, rests while nobody looks, batches what arrives.
import { apiUrl } from './client';
import type { BarEvent } from './types';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'paused';

export interface StreamListener {
  onBars: (bars: BarEvent[]) => void;
  onState: (state: LiveState) => void;
  /** Bars were missed, by a break or by the server's word: what happened must be fetched. */
  onGap: () => void;
}

/** Ten times a second is as fast as an eye reads numbers. */
const FLUSH_MS = 100;
const RETRY_MIN_MS = 500;
/** Short enough that nobody reaches for the reload button. */
const RETRY_MAX_MS = 8_000;
/** Browsers allow six connections to a host; a forgotten tab should not hold one. */
const REST_AFTER_MS = 60_000;
/** Addresses have limits; beyond this many symbols all of them are asked for. */
const SYMBOLS_MAX = 200;

export class BarStream {
  #source: EventSource | null = null;
  #symbols: string[] = [];
  #waiting = new Map<string, BarEvent>();
  #flush: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MIN_MS;
  #wasOpen = false;

  constructor(readonly listener: StreamListener) {
    document.addEventListener('visibilitychange', () => this.#onVisibility());
  }

  /** Follows these symbols; a changed list opens the stream anew. */
  follow(symbols: string[]): void {
    const sorted = [...symbols].sort();
    if (sorted.length === 0 || sorted.join() === this.#symbols.join()) return;
    this.#symbols = sorted;
    this.#open();
  }

  #open(): void {
    this.#close();
    const symbols = this.#symbols.length <= SYMBOLS_MAX ? this.#symbols.join(',') : undefined;
    const source = new EventSource(apiUrl('stream', { symbols }));
    this.#source = source;
    this.listener.onState(this.#wasOpen ? 'reconnecting' : 'connecting');
    source.onopen = () => this.#onOpen();
    source.onerror = () => this.#onError(source);
    source.addEventListener('bar', (event: MessageEvent<string>) => this.#onBar(event.data));
    // The server no longer knows what this client missed.
    source.addEventListener('reset', () => this.listener.onGap());
  }

  #close(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #onOpen(): void {
    this.#retryMs = RETRY_MIN_MS;
    this.listener.onState('live');
    if (this.#wasOpen) this.listener.onGap();
    this.#wasOpen = true;
  }

  #onError(source: EventSource): void {
    this.listener.onState('reconnecting');
    // The browser reconnects by itself, with the last event's id, unless the answer was an error.
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }

  #onBar(data: string): void {
    let bar: BarEvent;
    try {
      bar = JSON.parse(data) as BarEvent;
    } catch {
      return;
    }
    this.#waiting.set(`${bar.symbol} ${bar.ts_start} ${bar.ts_end}`, bar);
    this.#flush ??= setTimeout(() => {
      this.#flush = undefined;
      const bars = [...this.#waiting.values()];
      this.#waiting.clear();
      this.listener.onBars(bars);
    }, FLUSH_MS);
  }

  #onVisibility(): void {
    clearTimeout(this.#rest);
    if (document.hidden) {
      this.#rest = setTimeout(() => {
        this.#close();
        this.listener.onState('paused');
      }, REST_AFTER_MS);
    } else if (!this.#source && this.#symbols.length > 0) {
      this.#open();
    }
  }
}
