// Applies the theme before the first paint; a module would run too late and flash.
{
  let theme = null;
  try {
    theme = localStorage.getItem('marketlake.theme');
  } catch {
    // Storage may be blocked; the system's preference then decides.
  }
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  document.documentElement.dataset.theme = theme === 'dark' || theme === 'light' ? theme : system;
}
