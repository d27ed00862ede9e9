// Lights a price up for a moment when it changes. With reduced motion, the number just changes.
import type { Direction } from '../domain/format';

const FLASH_MS = 700;
const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

export interface Flash {
  value: string | null;
  direction: Direction;
}

/** A Svelte action: `use:flash={{ value, direction }}`. */
export function flash(node: HTMLElement, initial: Flash): { update: (next: Flash) => void } {
  let shown = initial.value;
  return {
    update({ value, direction }) {
      const isFirst = shown === null;
      if (value === shown) return;
      shown = value;
      if (isFirst || direction === 'flat' || reducedMotion.matches) return;
      const from = { backgroundColor: `var(--${direction}-soft)` };
      node.animate([from, { ...from, offset: 0.3 }, { backgroundColor: 'transparent' }], FLASH_MS);
    },
  };
}
