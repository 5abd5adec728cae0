// The types that the page's modules share. Those of the answers of `/ops` are generated from
// docs/api/openapi.json, so that a field that is renamed there is an error here.

import type { components } from "./api.generated";

type Schemas = components["schemas"];

export type Service = Schemas["ServiceInfo"];
export type Stand = Schemas["QueueList"];
export type Queue = Schemas["Queue"];
export type Comparison = Schemas["Comparison"];
export type Item = Schemas["Item"];
export type ItemList = Schemas["ItemList"];
export type ItemDetails = Schemas["ItemDetails"];
export type Refund = Schemas["Refund"];
export type RedriveResult = Schemas["RedriveResult"];
export type Outcome = Schemas["Outcome"];
export type KnownPayment = Schemas["KnownPayment"];
export type AuditList = Schemas["AuditList"];
export type PaymentList = Schemas["PaymentList"];
export type PaymentRow = Schemas["PaymentRow"];
export type PaymentSum = Schemas["PaymentSum"];
export type PaymentSums = Schemas["PaymentSums"];
export type Batch = Schemas["Batch"];
export type BatchList = Schemas["BatchList"];
export type BatchMember = Schemas["BatchMember"];
export type MemberPage = Schemas["MemberPage"];
export type DryRun = Schemas["DryRun"];
export type PaymentWork = Schemas["PaymentWork"];
export type WorkItem = Schemas["WorkItem"];
export type RefundList = Schemas["RefundList"];
export type RefundRow = Schemas["RefundRow"];
export type NotificationList = Schemas["NotificationList"];
export type NotificationRow = Schemas["NotificationRow"];
export type MatchList = Schemas["MatchList"];
export type Match = Schemas["Match"];
export type Rates = Schemas["Rates"];

export type Kind = "events" | "refunds" | "notifications";
export type Query = Record<string, string>;
export type Asked = Record<string, string | number | undefined>;
export type Child = Node | string | number | boolean | null | undefined | Child[];
export type Listener = (event: any) => unknown;
export type Attributes = Record<string, any> & { on?: Record<string, Listener> };
export type Column<Row> = {
    name: string;
    show: (row: Row) => Child;
    end?: boolean;
    phone?: "span" | "none";
};
export type Tone = "good" | "bad" | "wait" | "none";

/** A place in the console, as its address names it. */
export interface Place {
    room: string;
    id: string | null;
    query: Query;
}

/** A view for the stage: `load` is called repeatedly, and `draw` shows its result. */
export interface View<Data = any> {
    title: string;
    actions?: Child;
    frame?: Child;
    needsStand?: boolean;
    load: (signal: AbortSignal, stand: Stand) => Promise<Data>;
    draw: (data: Data, stand: Stand) => Child;
    name?: (data: Data) => string;
    missing?: (error: any) => Child;
}

/** Callbacks for the state of the connection. */
export interface Notice {
    reached: (stand: Stand | null) => void;
    away: (error: any, isShowing: boolean) => void;
    closed: () => void;
}

/** What a batch refunds of each payment of an event. */
export interface BatchTerms {
    event_id: string;
    reason: string;
    percent?: string;
    /** In the smallest unit of `expected_currency`, as is a `keep_fee` that is a number. */
    amount?: number;
    keep_fee?: string | number;
    expected_currency?: string;
}

/** The name and the reason of the operator who decides, for the audit. */
export interface Signature {
    by: string;
    reason: string;
}

/** Loads a list from the service. */
export type Load<Row> = (
    asked: Asked,
    signal?: AbortSignal,
) => Promise<{ data: Row[]; complete: boolean }>;

/** The state of a payment, a refund, a dispute …, as `shared/facts.py` stores it. */
export interface Subject {
    family: string;
    status: string;
    snapshot: Record<string, any>;
}

/** An entry of a timeline or of an item's attempts, as it is stored. */
export type Entry = Record<string, any> & { at: string };
