// One stream for the whole console, and who listens to it.
import { BarStream, type LiveState } from '../api/stream';
import type { BarEvent } from '../api/types';

interface Listener {
  onBars: (bars: BarEvent[]) => void;
  onGap: () => void;
}

class Live {
  state = $state<LiveState>('connecting');
  #listeners = new Set<Listener>();
  #stream = new BarStream({
    onBars: (bars) => this.#listeners.forEach((listener) => listener.onBars(bars)),
    onGap: () => this.#listeners.forEach((listener) => listener.onGap()),
    onState: (state) => (this.state = state),
  });

  follow(symbols: string[]): void {
    this.#stream.follow(symbols);
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export const live = new Live();
