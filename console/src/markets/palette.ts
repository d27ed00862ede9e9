// The page's colors for the canvas, which cannot read custom properties by itself.

export interface Palette {
  surface: string;
  muted: string;
  line: string;
  lineStrong: string;
  label: string;
  grid: string;
  accent: string;
  up: string;
  down: string;
  volumeUp: string;
  volumeDown: string;
  font: string;
  isDark: boolean;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const isDark = style.colorScheme === 'dark';
  return {
    surface: token('surface'),
    muted: token('muted'),
    line: token('line'),
    lineStrong: token('line-strong'),
    // Labels carry white or black text by the library's choice; both read well on these.
    label: isDark ? '#2b4048' : '#33474d',
    grid: token('grid'),
    accent: token('accent'),
    up: token('up'),
    down: token('down'),
    volumeUp: token('volume-up'),
    volumeDown: token('volume-down'),
    font: style.fontFamily,
    isDark,
  };
}
