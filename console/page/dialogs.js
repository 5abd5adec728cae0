// Dialogs that ask before an action, and short messages after it.

import { newIdempotencyKey, Refused, Unreachable } from "./client.js";
import { button, h, visible } from "./dom.js";
import { rememberFocus } from "./focus.js";
import { keepName, operatorName } from "./session.js";

/** @import { Child, Signature } from "../types" */

const SHOWN_MS = 6_000;

/**
 * Show a message in a corner for a few seconds.
 * @param {string} text
 */
export function toast(text) {
  const shown = h("p", { class: "toast" }, text);
  document.querySelector("#toasts")?.append(shown);
  setTimeout(() => shown.remove(), SHOWN_MS);
}

/**
 * A dialog: `act` gets the name and reason and the values of `fields`, and the dialog's idempotency
 * key; it returns the message to show when it is done.
 * @typedef {object} Question
 * @property {string} title
 * @property {Child} [body]
 * @property {{ element: HTMLElement, read: () => object } | null} [fields]
 * @property {boolean} [signed] false for actions that the audit does not record: no name, no reason
 * @property {boolean} [once] true for an action that sends the key: repeated, it takes effect once
 * @property {string} confirm
 * @property {string | null} [dismiss] the other button; null when there is nothing to decide
 * @property {Act} act
 */

/**
 * @typedef {(values: Signature & Record<string, any>, key: Record<string, string>)
 *   => Promise<string>} Act
 */

/** @satisfies {Partial<Question>} */
const PLAIN = { body: [], fields: null, signed: true, once: false, dismiss: "Cancel" };

/**
 * Ask before an action. If `act` throws, the dialog shows the error and stays open.
 * @param {Question} question
 */
export function ask(question) {
  const { title, body, fields, signed, once, confirm, dismiss, act } = { ...PLAIN, ...question };
  const key = newIdempotencyKey();
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const signature = signed ? signing() : UNSIGNED;
  const yes = h("button", { class: "primary" }, confirm);
  /** @type {Child} */
  const no = dismiss && button({}, () => dialog.close(), dismiss);
  /** @type {HTMLFormElement} */
  const form = h(
    "form",
    {},
    h("h2", { id: "ask-title" }, title),
    body,
    fields?.element ?? null,
    signature.element,
    problem,
    h("div", { class: "ends" }, no, yes),
  );
  /** @type {HTMLDialogElement} */
  const dialog = h("dialog", { "aria-labelledby": "ask-title" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = { ...signature.read(), ...fields?.read() };
    perform(dialog, { yes, problem, once }, () => act(values, key));
  });
  open(dialog);
  (firstToFill(form) ?? yes).focus();
}

/** Replaces name and reason in a dialog whose action the audit does not record. */
const UNSIGNED = { element: null, read: () => ({ by: "", reason: "" }) };

/** Build the fields for the operator's name and reason. */
function signing() {
  const by = h("input", { id: "ask-by", maxlength: "100", autocomplete: "off" });
  const reason = h("input", { id: "ask-reason", maxlength: "500", autocomplete: "off" });
  by.value = operatorName();
  const element = [
    h(
      "div",
      { class: "pair" },
      h("div", {}, h("label", { for: "ask-by" }, "Your name"), by),
      h("div", {}, h("label", { for: "ask-reason" }, "Reason"), reason),
    ),
    h("p", { class: "hint" }, "The audit records both."),
  ];
  const read = () => {
    keepName(by.value.trim());
    return { by: by.value.trim(), reason: reason.value.trim() };
  };
  return { element, read };
}

/**
 * Return the first field of a form if it is empty.
 * @param {HTMLFormElement} form
 */
function firstToFill(form) {
  /** @type {HTMLInputElement | null} */
  const first = form.querySelector("input:not([type='radio'], [hidden])");
  return first?.value ? null : first;
}

/**
 * Open a dialog, which closes when another page is opened: its question is about this one.
 * @param {HTMLDialogElement} dialog
 */
function open(dialog) {
  const giveBack = rememberFocus();
  const listening = new AbortController();
  addEventListener("hashchange", () => dialog.close(), { signal: listening.signal });
  dialog.addEventListener("close", () => {
    listening.abort();
    dialog.remove();
    giveBack();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {{ yes: HTMLButtonElement, problem: HTMLElement, once: boolean }} parts
 * @param {() => Promise<string>} act
 */
async function perform(dialog, { yes, problem, once }, act) {
  yes.disabled = true;
  problem.hidden = true;
  try {
    const text = await act();
    dialog.close();
    if (text) toast(text);
  } catch (error) {
    problem.textContent = visible(explain(error, once));
    problem.hidden = false;
  } finally {
    yes.disabled = false;
  }
}

/**
 * Return the text for an error of the service; throws any other error again.
 * @param {unknown} error
 * @param {boolean} [once] true if the action takes effect once, although it is repeated
 */
export function explain(error, once = false) {
  if (error instanceof Unreachable) {
    return once
      ? "Cannot reach the service. You can repeat the action here: it takes effect once."
      : "Cannot reach the service. Check whether the action took effect before you repeat it.";
  }
  if (error instanceof Refused) return `${error.message} (${error.code})`;
  throw error;
}
