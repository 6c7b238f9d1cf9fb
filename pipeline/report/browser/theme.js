import { byId } from './dom.js';

/** Light and dark follow the system until the button is pressed. */
export function setUpTheme() {
  const root = document.documentElement;
  const button = byId('theme', HTMLButtonElement);
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.style.colorScheme === '' ? system.matches : root.style.colorScheme === 'dark');
  const updateLabel = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Use the ${isDark() ? 'light' : 'dark'} colours`);
  };
  button.addEventListener('click', () => {
    root.style.colorScheme = isDark() ? 'light' : 'dark';
    updateLabel();
  });
  system.addEventListener('change', updateLabel);
  updateLabel();
  button.hidden = false;
}
