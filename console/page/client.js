// The only door to data: `/ops` beside this page, with the operator's key in a header.

import { operatorKey } from "./session.js";

const OPS = new URL("ops/", document.baseURI);
// Longer than the service's own limit of a call to Stripe with its retries.
const TIMEOUT_MS = 45_000;
// What a header can carry; any other key is certainly not the right one.
const POSSIBLE_KEY = /^[\x21-\x7e]+$/;

/** The service answered that it will not, or cannot: its problem document, for a person. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? String(status);
    this.requestId = problem.request_id;
    this.problem = problem;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

/** Read; leaves out what was not given. */
export function get(path, query = {}, signal = undefined) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(given).toString();
  return call("GET", search ? `${path}?${search}` : path, undefined, signal);
}

/** Have something done. */
export const post = (path, body) => call("POST", path, JSON.stringify(body));

async function call(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  const key = operatorKey();
  if (key !== null) {
    if (!POSSIBLE_KEY.test(key)) throw new Refused(401, { code: "unauthorized", detail: "" });
    headers.Authorization = `Bearer ${key}`;
  }
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const options = {
    method,
    headers,
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

async function understood(answer) {
  const said = await answer.json().catch(() => null);
  if (answer.ok && said !== null) return said;
  // A proxy in front speaks for a service that is away, and not in problem documents.
  if (said?.code === undefined && [200, 502, 503, 504].includes(answer.status)) {
    throw new Unreachable("Something in front of the service answers in its place.");
  }
  throw new Refused(answer.status, said ?? {});
}
