// The operator's key and name, stored until the tab is closed. They are never in an address, which
// is logged and shared, nor in storage that outlives the tab.

const KEY = "billing.operator_key";
const NAME = "billing.operator_name";

export const operatorKey = () => sessionStorage.getItem(KEY);
/** @param {string} key */
export const keepKey = (key) => sessionStorage.setItem(KEY, key);
export const operatorName = () => sessionStorage.getItem(NAME) ?? "";
/** @param {string} name */
export const keepName = (name) => sessionStorage.setItem(NAME, name);

export function forgetAll() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(NAME);
}
