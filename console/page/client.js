// Sends all requests of the page: to `/ops` beside it, with the operator's key in a header.

import { operatorKey } from "./session.js";

/** @import { Asked } from "../types" */

const OPS = new URL("ops/", document.baseURI);
// Longer than the service's limit for a call to Stripe with its retries.
const TIMEOUT_MS = 45_000;
// Characters that a header can carry; a key with any other is certainly wrong.
const POSSIBLE_KEY = /^[\x21-\x7e]+$/;
const AWAY = new Set([200, 502, 503, 504]);

/** The service refused or could not serve a request; the error has the text of its problem. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {{ detail?: string, code?: string, request_id?: string }} problem
   */
  constructor(status, problem) {
    super(problem.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? String(status);
    this.requestId = problem.request_id;
  }
}

/**
 * Return an outage's message without the advice to try again, which the page does by itself.
 * @param {{ message: string }} error
 */
export const outage = ({ message }) => message.replace(/; (try|ask) again\.$/, ".");

/** The service did not answer. */
export class Unreachable extends Error {}

/**
 * Send a GET; omits query values that are undefined or empty. Throws `Refused`, `Unreachable`.
 * @param {string} path
 * @param {Asked} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function get(path, query = {}, signal = undefined) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  return call("GET", search.size ? `${path}?${search}` : path, {}, signal);
}

/**
 * Send a POST. Throws `Refused`, `Unreachable`.
 * @param {string} path
 * @param {object} body
 * @param {Record<string, string>} headers
 * @returns {Promise<any>}
 */
export const post = (path, body, headers = {}) =>
  call("POST", path, { body: JSON.stringify(body), headers });

/**
 * Return a new idempotency key as a header. Create it once for each decision of a person, so that a
 * request that is repeated for lack of an answer has its effect once.
 * @returns {Record<string, string>}
 */
export function newIdempotencyKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { "Idempotency-Key": `console-${hex}` };
}

/** @returns {Record<string, string>} */
function authorization() {
  const key = operatorKey();
  if (key === null) return {};
  if (!POSSIBLE_KEY.test(key)) throw new Refused(401, { code: "unauthorized", detail: "" });
  return { Authorization: `Bearer ${key}` };
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{ body?: string, headers?: Record<string, string> }} request
 * @param {AbortSignal} [signal]
 */
async function call(method, path, { body, headers = {} }, signal = undefined) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  /** @type {RequestInit} */
  const options = {
    method,
    headers: {
      Accept: "application/json",
      ...authorization(),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    body,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  };
  const answer = await fetch(new URL(path, OPS), options).catch((error) => {
    if (signal?.aborted) throw error;
    throw new Unreachable("The service does not answer.", { cause: error });
  });
  return readAnswer(answer);
}

/** @param {Response} answer */
async function readAnswer(answer) {
  const document_ = await answer.json().catch(() => null);
  if (answer.ok && document_ !== null) return document_;
  // While the service is down, a proxy in front answers, and not with problem documents.
  if (document_?.code === undefined && AWAY.has(answer.status)) {
    throw new Unreachable("A proxy answers in place of the service.");
  }
  throw new Refused(answer.status, document_ ?? {});
}
