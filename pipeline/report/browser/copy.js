/**
 * Makes buttons that copy a text. What is copied is in the page beside them, so a browser that refuses loses nothing.
 *
 * @param {HTMLButtonElement} button
 * @param {() => string} text
 */
export function setUpCopy(button, text) {
  const label = button.textContent;
  button.addEventListener('click', () => {
    void copyText(text()).then(done => {
      button.textContent = done ? 'Copied' : 'Select it and copy';
      setTimeout(() => {
        button.textContent = label;
      }, 2000);
    });
  });
  button.hidden = false;
}

/** @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Some browsers refuse it to pages that are files.
    return false;
  }
}
