// Repeats a request at a pace: one at a time, none while the page is hidden.

/** Runs `task` at once and then `periodMs` after each end; returns the function that stops it. */
export function startPolling(task: (signal: AbortSignal) => Promise<void>, periodMs: number): () => void {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = async (): Promise<void> => {
    if (!document.hidden) {
      // The task shows its own failures; the pace goes on either way.
      await task(controller.signal).catch(() => undefined);
    }
    if (!controller.signal.aborted) timer = setTimeout(() => void run(), periodMs);
  };
  void run();
  return () => {
    controller.abort();
    clearTimeout(timer);
  };
}
