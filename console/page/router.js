// The places of the console and their addresses: `#/events/evt_…`, `#/dead-letters?kind=events`.

/** @import { Asked, Place } from "../types" */

/**
 * Read an address; an unreadable one gives the overview.
 * @param {string} hash
 * @returns {Place}
 */
export function read(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const steps = path.split("/").filter(Boolean);
  return {
    room: steps[0] ?? "",
    id: steps.length > 1 ? decoded(steps[1]) : null,
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

/**
 * Write an address; omits query values that are undefined or empty.
 * @param {string} room
 * @param {string | null} id
 * @param {Asked} query
 */
export function address(room, id = null, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const path = id === null ? room : `${room}/${encodeURIComponent(id)}`;
  return `#/${path}${search.size ? `?${search}` : ""}`;
}

/** @type {[RegExp, string][]} */
const ROOMS = [
  [/^(pi|ch|py|cs)_/, "payments"],
  [/^(re|pyr)_/, "refunds"],
  [/^rb_/, "refund-batches"],
  [/^evt_/, "events"],
  [/^(rr|ntf)_/, "items"],
  [/^(req|du|dp)_/, "find"],
];

/**
 * Return the address of the object with this id, or null if it has no page of its own.
 * @param {unknown} id
 */
export function addressOf(id) {
  const text = String(id ?? "").trim();
  const room = /^\w{4,128}$/.test(text) ? ROOMS.find(([prefix]) => prefix.test(text)) : undefined;
  return room ? address(room[1], text) : null;
}

// In an address of Stripe's dashboard, the last id is that of the object.
const ID = /\b(?:pi|ch|py|cs|re|pyr|rb|du|dp|evt|rr|ntf|req)_\w+/g;
const ADDRESS = /^https?:\/\//;

/**
 * Return the text to search for: of an address of Stripe's dashboard its id, else the text typed.
 * @param {string} typed
 */
export function searchTextOf(typed) {
  const text = typed.trim();
  if (!ADDRESS.test(text)) return text;
  return (
    text
      .replace(/[?#].*$/, "")
      .match(ID)
      ?.at(-1) ?? ""
  );
}

/** @param {string} step */
function decoded(step) {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}
