// The routes of `/ops`, each by name and with the type of its answer.

import { get, post } from "./client.js";

/** @import * as T from "../types" */

/** @returns {Promise<T.Service>} */
export const service = () => get("service");

/**
 * @param {AbortSignal} signal
 * @returns {Promise<T.Stand>}
 */
export const queues = (signal) => get("queues", {}, signal);

/**
 * @param {T.Asked} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.ItemList>}
 */
export const events = (query, signal) => get("events", query, signal);

/**
 * @param {T.Asked} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.ItemList>}
 */
export const deadLetters = (query, signal) => get("dead-letters", query, signal);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<T.ItemDetails>}
 */
export const item = (id, signal) => get(`items/${encodeURIComponent(id)}`, {}, signal);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<T.KnownPayment>}
 */
export const payment = (id, signal) => get(`payments/${encodeURIComponent(id)}`, {}, signal);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<T.Refund>}
 */
export const refund = (id, signal) => get(`refunds/${encodeURIComponent(id)}`, {}, signal);

/**
 * @param {AbortSignal} signal
 * @returns {Promise<T.Comparison>}
 */
export const reconciliation = (signal) => get("reconcile", {}, signal);

/**
 * @param {number} limit
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.AuditList>}
 */
export const audit = (limit, signal) => get("audit", { limit }, signal);

/**
 * @param {T.Signature} signature
 * @returns {Promise<T.Outcome>}
 */
export const reconcile = (signature) => post("reconcile", signature);

/**
 * @param {string} id
 * @param {T.Signature} signature
 * @returns {Promise<T.Outcome>}
 */
export const redriveOne = (id, signature) =>
  post(`items/${encodeURIComponent(id)}/redrive`, signature);

/**
 * List the dead letters of a kind that match a search, the oldest first.
 * @param {T.Asked & { kind: T.Kind, limit: number }} search
 * @returns {Promise<T.RedriveResult>}
 */
export const wouldRedrive = (search) => post("dead-letters/redrive", { ...search, dry_run: true });

/**
 * Redrive dead letters by their ids.
 * @param {string[]} ids
 * @param {T.Signature} signature
 * @returns {Promise<T.RedriveResult>}
 */
export const redrive = (ids, signature) => post("dead-letters/redrive", { ids, ...signature });

/**
 * @param {string} job
 * @param {T.Signature & { refund_id?: string, failed?: boolean }} finding
 * @returns {Promise<T.Outcome>}
 */
export const resolve = (job, finding) =>
  post(`refunds/${encodeURIComponent(job)}/resolve`, finding);

/**
 * @param {T.Asked} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.PaymentList>}
 */
export const payments = (query, signal) => get("payments", query, signal);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<T.PaymentWork>}
 */
export const workOf = (id, signal) => get(`payments/${encodeURIComponent(id)}/work`, {}, signal);

/**
 * @param {T.Asked} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.RefundList>}
 */
export const refunds = (query, signal) => get("refunds", query, signal);

/**
 * @param {T.Asked} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.NotificationList>}
 */
export const notifications = (query, signal) => get("notifications", query, signal);

/**
 * @param {T.Signature} signature
 * @returns {Promise<{ id: string }>}
 */
export const testNotification = (signature) => post("notifications/test", signature);

/**
 * @param {string} text
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.MatchList>}
 */
export const find = (text, signal) => get("find", { text }, signal);

/**
 * @param {number} hours
 * @param {AbortSignal} signal
 * @returns {Promise<T.Rates>}
 */
export const rates = (hours, signal) => get("rates", { hours }, signal);

/**
 * @param {T.Asked} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.PaymentSums>}
 */
export const paymentSums = (query, signal) => get("payment-sums", query, signal);

// These routes are for callers, and accept an operator's key, too.
const BATCHES = "../api/refund/batches";

/**
 * @param {T.Asked} query
 * @param {AbortSignal} signal
 * @returns {Promise<T.BatchList>}
 */
export const batches = (query, signal) => get(BATCHES, query, signal);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<T.Batch>}
 */
export const batch = (id, signal) => get(`${BATCHES}/${encodeURIComponent(id)}`, {}, signal);

/**
 * @param {string} id
 * @param {T.Asked} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<T.MemberPage>}
 */
export const batchMembers = (id, query, signal) =>
  get(`${BATCHES}/${encodeURIComponent(id)}/refunds`, query, signal);

/**
 * Return what a batch would do.
 * @param {T.BatchTerms} terms
 * @returns {Promise<T.DryRun>}
 */
export const tryBatch = (terms) => post(BATCHES, { ...terms, dry_run: true });

/**
 * @param {T.BatchTerms} terms
 * @param {Record<string, string>} key of `newIdempotencyKey`
 * @returns {Promise<T.Batch>}
 */
export const startBatch = (terms, key) => post(BATCHES, terms, key);

/**
 * @param {string} id
 * @param {"pause" | "resume" | "cancel" | "retry"} turn
 * @param {Record<string, string>} key of `newIdempotencyKey`
 * @param {string[]} [include] states of the members to retry; by default those that failed
 * @returns {Promise<T.Batch>}
 */
export const turnBatch = (id, turn, key, include) =>
  post(`${BATCHES}/${encodeURIComponent(id)}/${turn}`, include ? { include } : {}, key);
