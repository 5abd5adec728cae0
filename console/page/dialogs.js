// Questions before anything is done, and a word afterwards.

import { Refused, Unreachable } from "./client.js";
import { button, h, visible } from "./dom.js";
import { rememberFocus } from "./focus.js";
import { keepName, operatorName } from "./session.js";

/** @import { Child, Said } from "../types" */

const SHOWN_MS = 6_000;

/**
 * Say in a corner what was done, for a few seconds.
 * @param {string} text
 */
export function toast(text) {
  const shown = h("p", { class: "toast" }, text);
  document.querySelector("#toasts")?.append(shown);
  setTimeout(() => shown.remove(), SHOWN_MS);
}

/**
 * What is asked: `fields` are read beside the name and the reason, `act` gets all of it, and what
 * it returns is said when it is done.
 * @typedef {object} Question
 * @property {string} title
 * @property {Child} [body]
 * @property {{ element: HTMLElement, read: () => object } | null} [fields]
 * @property {boolean} [signed] false for what the audit does not keep: no name, no reason
 * @property {string} confirm
 * @property {(said: Said & Record<string, any>) => Promise<string>} act
 */

/**
 * Ask before something is done; what `act` throws is shown in the dialog, which then stays open.
 * @param {Question} question
 */
export function ask({ title, body = [], fields = null, signed = true, confirm, act }) {
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const signature = signed ? signing() : UNSIGNED;
  const yes = h("button", { class: "primary" }, confirm);
  const no = button({}, () => dialog.close(), "Cancel");
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
  const dialog = h("dialog", { "aria-labelledby": "ask-title" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const said = signature.read();
    perform(dialog, { yes, problem }, () => act({ ...said, ...fields?.read() }));
  });
  open(dialog);
  (firstToFill(form) ?? yes).focus();
}

/** What stands for name and reason where the audit keeps neither. */
const UNSIGNED = { element: null, read: () => ({ by: "", reason: "" }) };

/** Make the fields for who decides, and why. */
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
    h("p", { class: "hint" }, "Both are kept in the audit."),
  ];
  const read = () => {
    keepName(by.value.trim());
    return { by: by.value.trim(), reason: reason.value.trim() };
  };
  return { element, read };
}

/**
 * Find the first field of a form, if a person has to fill it in.
 * @param {HTMLFormElement} form
 */
function firstToFill(form) {
  /** @type {HTMLInputElement | null} */
  const first = form.querySelector("input:not([type='radio'], [hidden])");
  return first?.value ? null : first;
}

/** @param {HTMLDialogElement} dialog */
function open(dialog) {
  const giveBack = rememberFocus();
  dialog.addEventListener("close", () => {
    dialog.remove();
    giveBack();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {{ yes: HTMLButtonElement, problem: HTMLElement }} parts
 * @param {() => Promise<string>} act
 */
async function perform(dialog, { yes, problem }, act) {
  yes.disabled = true;
  problem.hidden = true;
  try {
    const text = await act();
    dialog.close();
    if (text) toast(text);
  } catch (error) {
    problem.textContent = visible(explained(error));
    problem.hidden = false;
  } finally {
    yes.disabled = false;
  }
}

/**
 * Say in words why something was not done; raises again what nobody expected.
 * @param {unknown} error
 */
export function explained(error) {
  if (error instanceof Unreachable) {
    return "The service cannot be reached. Look whether it was done before you repeat it.";
  }
  if (error instanceof Refused) return `${error.message} (${error.code})`;
  throw error;
}
