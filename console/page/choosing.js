// The buttons of a choice: choose all items shown, and redrive the chosen ones.

import { button } from "./dom.js";
import { count } from "./format.js";
import { redriveChosen } from "./redrive.js";
import { Choice } from "./table.js";

/**
 * Make a choice of dead letters and its buttons.
 * @param {() => void} refresh
 */
export function choiceToRedrive(refresh) {
  const all = button({ disabled: true }, () => choice.toggleAll(), "Choose all shown");
  const some = button({ disabled: true }, () => redriveChosen(choice.oldestFirst(), refresh));
  const choice = new Choice((ids) => {
    some.disabled = ids.length === 0;
    some.textContent = `Redrive chosen (${count(ids.length)})`;
    all.disabled = choice.shown.length === 0;
  });
  some.textContent = "Redrive chosen (0)";
  return { choice, buttons: [all, some] };
}
