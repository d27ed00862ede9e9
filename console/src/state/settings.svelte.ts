// What the reader chose, kept in the browser: theme and time zone.
import type { Zone } from '../domain/time';
import { read, write } from './storage';

export type Theme = 'dark' | 'light';

const systemIsDark = matchMedia('(prefers-color-scheme: dark)');

class Settings {
  #chosen = $state<string | null>(read('theme'));
  #isSystemDark = $state(systemIsDark.matches);
  zone = $state<Zone>(read('zone') === 'utc' ? 'utc' : 'exchange');

  constructor() {
    systemIsDark.addEventListener('change', (event) => {
      this.#isSystemDark = event.matches;
      this.#apply();
    });
  }

  get theme(): Theme {
    if (this.#chosen === 'dark' || this.#chosen === 'light') return this.#chosen;
    return this.#isSystemDark ? 'dark' : 'light';
  }

  toggleTheme(): void {
    this.#chosen = this.theme === 'dark' ? 'light' : 'dark';
    this.#apply();
    write('theme', this.#chosen);
  }

  /** As theme.js does for the first paint. */
  #apply(): void {
    document.documentElement.dataset['theme'] = this.theme;
  }

  setZone(zone: Zone): void {
    this.zone = zone;
    write('zone', zone);
  }
}

export const settings = new Settings();
