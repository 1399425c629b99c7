// Runs before the first paint, so that a chosen theme never flashes. Without a choice the page follows the system.
{
  const theme = localStorage.getItem('openmanager.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
}
