/** Keys that work anywhere outside a text box (design/UI.md §8). */

const IN_TEXT = 'input, textarea, select, [contenteditable]';

/**
 * Calls the action of a pressed key until the returned function is called.
 * @param {Record<string, () => void>} actions by `KeyboardEvent.key`
 */
export function onKeys(actions) {
  const pressed = (event) => {
    const action = actions[event.key];
    const elsewhere = event.ctrlKey || event.metaKey || event.altKey || event.target.closest(IN_TEXT);
    if (!action || elsewhere || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    action();
  };
  addEventListener('keydown', pressed);
  return () => removeEventListener('keydown', pressed);
}
