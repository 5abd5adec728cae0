// Where the operator's key is asked for.

import { Refused, Unreachable } from "./client.js";
import { h, icon } from "./dom.js";
import * as ops from "./ops.js";
import { forgetAll, keepKey, operatorKey } from "./session.js";
import { mark } from "./shell.js";

/** @import { Child, Service } from "../types" */

const RETRY_MS = 2_000;
const SERVER_ERRORS = 500;
const CLOSED =
  "This service is closed to all: no operator key is configured. Set OPERATOR_KEYS and restart it.";

/**
 * Find out what the service asks for; calls `enter` with what it says of itself once it may.
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

const KEPT = "One of OPERATOR_KEYS. It is kept until this tab is closed, and nowhere else.";
const WAITING = "It may be restarting. This page goes on by itself when it answers.";
const WRONG = "This key is not known to the service. Check it, and try again.";

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

/** @param {...Child} children */
function alone(...children) {
  document.title = "Sign in · Billing console";
  document.body.replaceChildren(h("main", { class: "alone" }, mark(), ...children));
}
