// The only door to data: `/ops` beside this page, with the operator's key in a header.

import { operatorKey } from "./session.js";

/** @import { Asked } from "../types" */

const OPS = new URL("ops/", document.baseURI);
// Longer than the service's own limit of a call to Stripe with its retries.
const TIMEOUT_MS = 45_000;
// What a header can carry; any other key is certainly not the right one.
const POSSIBLE_KEY = /^[\x21-\x7e]+$/;
const AWAY = new Set([200, 502, 503, 504]);

/** The service answered that it will not, or cannot: its problem document, for a person. */
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
 * Say what an outage is, without the advice to try again: the page does that by itself.
 * @param {{ message: string }} error
 */
export const outage = ({ message }) => message.replace(/; (try|ask) again\.$/, ".");

/** Nobody answered. */
export class Unreachable extends Error {}

/**
 * Read; leaves out what was not given.
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
 * Have something done.
 * @param {string} path
 * @param {object} body
 * @param {Record<string, string>} headers
 * @returns {Promise<any>}
 */
export const post = (path, body, headers = {}) =>
  call("POST", path, { body: JSON.stringify(body), headers });

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
 * @param {{ body?: string, headers?: Record<string, string> }} sent
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
  return understood(answer);
}

/** @param {Response} answer */
async function understood(answer) {
  const document_ = await answer.json().catch(() => null);
  if (answer.ok && document_ !== null) return document_;
  // A proxy in front speaks for a service that is away, and not in problem documents.
  if (document_?.code === undefined && AWAY.has(answer.status)) {
    throw new Unreachable("Something in front of the service answers in its place.");
  }
  throw new Refused(answer.status, document_ ?? {});
}
