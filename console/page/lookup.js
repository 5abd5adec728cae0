// The search field above every page: finds objects by id, e-mail address or metadata.

import { h, icon } from "./dom.js";
import { address, addressOf, searchTextOf } from "./router.js";

const WRONG = "Type an id, an e-mail address, or a value from a payment's metadata.";
const LEAST = 3;
// Ids whose pages open directly; any other text is searched for first.
const OWN_PAGE = /^(pi|re|pyr|rb|evt|rr|ntf)_\w+$/;

export function lookUp() {
  const input = h("input", {
    id: "look-up",
    type: "search",
    placeholder: "Find an id, an e-mail address, a dashboard link",
    "aria-label": "Find by id",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
  });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const form = h(
    "form",
    { class: "look-up", role: "search", "aria-label": "Everything" },
    icon("search"),
    input,
    problem,
  );
  input.addEventListener("input", () => {
    problem.hidden = true;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = searchTextOf(input.value);
    problem.textContent = WRONG;
    problem.hidden = text.length >= LEAST;
    if (text.length < LEAST) return;
    input.value = "";
    location.hash = placeOf(text);
  });
  return form;
}

/** @param {string} text */
const placeOf = (text) => (OWN_PAGE.test(text) ? addressOf(text) : null) ?? address("find", text);
