// Where the operator's key is asked for.

import { Refused, Unreachable, get } from "./client.js";
import { h, icon } from "./dom.js";
import { forgetAll, keepKey, operatorKey } from "./session.js";
import { mark } from "./shell.js";

const RETRY_MS = 2_000;
const CLOSED =
  "This service is closed to all: no operator key is configured. Set OPERATOR_KEYS and restart it.";

/** Find out what the service asks for; calls `enter` with what it says of itself once it may. */
export async function signIn(enter) {
  try {
    enter(await get("service"));
  } catch (error) {
    if (error instanceof Unreachable || error.status >= 500) {
      alone(h("h1", {}, "Cannot reach the service"), h("p", { role: "status" }, WAITING));
      setTimeout(() => signIn(enter), RETRY_MS);
      return;
    }
    if (!(error instanceof Refused)) throw error;
    if (error.status === 403) alone(h("h1", {}, "Closed"), h("p", { role: "alert" }, CLOSED));
    else askForKey(enter, operatorKey() !== null);
  }
}

const KEPT = "One of OPERATOR_KEYS. It is kept until this tab is closed, and nowhere else.";
const WAITING = "It may be restarting. This page goes on by itself when it answers.";
const WRONG = "This key is not known to the service. Check it, and try again.";

function askForKey(enter, wasRefused) {
  forgetAll();
  const field = h("input", {
    id: "key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "key-problem",
  });
  const problem = h("p", { id: "key-problem", class: "problem", role: "alert" });
  const submit = h("button", { class: "primary" }, "Sign in");
  problem.textContent = wasRefused ? WRONG : "";
  problem.hidden = !wasRefused;
  const form = h(
    "form",
    {},
    h("label", { for: "key" }, "Operator key"),
    field,
    problem,
    submit,
    h("p", { class: "hint" }, icon("key"), h("span", {}, KEPT)),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    keepKey(field.value.trim());
    await signIn(enter);
    submit.disabled = false;
  });
  alone(h("h1", {}, "Billing console"), form);
  field.focus();
}

function alone(...children) {
  document.title = "Billing console";
  document.body.replaceChildren(h("main", { class: "alone" }, mark(), ...children));
}
