// The field above every page that finds a thing by its id.

import { h, icon } from "./dom.js";
import { addressOf, soughtIn } from "./router.js";

const WRONG = "Ids begin with pi_, ch_, cs_, re_, rr_, evt_ or ntf_.";

export function lookUp() {
  const input = h("input", {
    id: "look-up",
    type: "search",
    placeholder: "Find pi_… re_… rr_… evt_… ntf_…",
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
    const to = addressOf(soughtIn(input.value));
    problem.textContent = WRONG;
    problem.hidden = to !== null;
    if (to === null) return;
    input.value = "";
    location.hash = to;
  });
  return form;
}
