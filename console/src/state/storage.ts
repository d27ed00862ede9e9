// What the browser keeps for the reader. Storage may be blocked; everything then lasts as long as the page.

export function read(key: string): string | null {
  try {
    return localStorage.getItem(`marketlake.${key}`);
  } catch {
    return null;
  }
}

export function write(key: string, value: string): void {
  try {
    localStorage.setItem(`marketlake.${key}`, value);
  } catch {
    // Full or blocked: the next reload begins without it.
  }
}
