/**
 * What a replica with `authority.oauth` needs of browsers: a window for the user's consent, and a place for grants.
 *
 * @packageDocumentation
 */

export { browserVault } from "./browser_vault.js";
export { finishPopup, popup } from "./popup.js";
export type { Popup, PopupOptions } from "./popup.js";
