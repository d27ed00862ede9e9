// Applies the chosen theme before the first paint; a module would run too late and flash.
try {
  const theme = localStorage.getItem('marketlake.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be blocked; the system's preference then decides.
}
