/** A native `<dialog>`: the browser keeps the focus inside and gives it back on closing. */
import { html, useEffect, useRef } from '../../vendor/vendor.js';

/** @param {{label: string, onClose: () => void, children: any}} props */
export function Modal({ label, onClose, children }) {
  const dialog = useRef(null);
  useEffect(() => { dialog.current.showModal(); }, []);
  const onBackdrop = (event) => { if (event.target === dialog.current) dialog.current.close(); };
  return html`
    <dialog ref=${dialog} class="modal" aria-label=${label} onClose=${onClose} onClick=${onBackdrop}>
      <div class="modal-body">${children}</div>
    </dialog>`;
}
