// Places in the console and their addresses: `#/events/evt_…`, `#/dead-letters?kind=events`.

/** Read an address. What cannot be read is the overview. */
export function read(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const steps = path.split("/").filter(Boolean);
  return {
    room: steps[0] ?? "",
    id: steps.length > 1 ? decoded(steps[1]) : null,
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

/** Write an address; leaves out what was not given. */
export function address(room, id = null, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const path = id === null ? room : `${room}/${encodeURIComponent(id)}`;
  return `#/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

const ROOMS = [
  [/^(pi|ch|py|cs)_/, "payments"],
  [/^(re|pyr)_/, "refunds"],
  [/^evt_/, "events"],
  [/^(rr|ntf)_/, "items"],
];

/** Give the address of whatever an id names, or null for what is no id of ours or Stripe's. */
export function addressOf(id) {
  const text = String(id ?? "").trim();
  const room = /^\w{4,128}$/.test(text) ? ROOMS.find(([prefix]) => prefix.test(text)) : undefined;
  return room ? address(room[1], text) : null;
}

function decoded(step) {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}
