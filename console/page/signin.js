// The sign-in page, which asks for the operator's key.

import { Refused, Unreachable } from "./client.js";
import { h, icon } from "./dom.js";
import * as ops from "./ops.js";
import { forgetAll, keepKey, operatorKey } from "./session.js";
import { mark } from "./shell.js";

/** @import { Child, Service } from "../types" */

const RETRY_MS = 2_000;
const SERVER_ERRORS = 500;
const CLOSED =
  "No operator key is configured: nobody can sign in. Set OPERATOR_KEYS and restart the service.";

/**
 * Ask for a key if the service requires one; then call `enter` with the service's description.
 * @param {(service: Service) => void} enter
 */
export async function signIn(enter) {
  try {
    enter(await ops.service());
  } catch (error) {
    refused(enter, error);
  }
}

/**
 * @param {(service: Service) => void} enter
 * @param {unknown} error
 */
function refused(enter, error) {
  if (error instanceof Refused && error.status < SERVER_ERRORS) {
    if (error.status === 403) alone(h("h1", {}, "Closed"), h("p", { role: "alert" }, CLOSED));
    else askForKey(enter, operatorKey() !== null);
    return;
  }
  if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
  alone(h("h1", {}, "Cannot reach the service"), h("p", { role: "status" }, WAITING));
  setTimeout(() => signIn(enter), RETRY_MS);
}

const STORAGE = "One of OPERATOR_KEYS. It is stored only in this tab, until you close it.";
const WAITING = "It may be restarting. This page continues by itself when the service answers.";
const WRONG = "The service does not know this key. Check it, and try again.";

/**
 * @param {(service: Service) => void} enter
 * @param {boolean} wasRefused
 */
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
    h("p", { class: "hint" }, icon("key"), h("span", {}, STORAGE)),
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

/** @param {...Child} children */
function alone(...children) {
  document.title = "Sign in · Billing console";
  document.body.replaceChildren(h("main", { class: "alone" }, mark(), ...children));
}
