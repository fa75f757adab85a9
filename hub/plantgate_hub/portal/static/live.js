// Keeps the page current: the hub says that something changed, the page asks for itself anew and swaps what differs.
// Regions are elements with data-live="NAME"; one with data-note has a sentence for those who do not see the change.
import { copies } from "./copy.js";
import { showLocally } from "./moments.js";

const AGAIN_MS = 5000; // after the hub refused the stream
const SPREAD_MS = 400; // pages that hear of the same change do not all ask at once

let stream = null;
let refreshing = false;
let missed = false;

export function follow() {
  if (!document.querySelector("[data-live]")) return;
  for (const region of document.querySelectorAll("[data-live]")) region.original = region.innerHTML;
  // A page that nobody looks at holds no connection; browsers allow few of them for each site.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  if (!document.hidden) open();
}

function open() {
  close();
  const version = document.getElementById("content").dataset.version;
  stream = new EventSource(`/live?since=${encodeURIComponent(version)}`);
  stream.addEventListener("changed", () => setTimeout(refresh, Math.random() * SPREAD_MS));
  stream.addEventListener("error", lost);
}

function close() {
  stream?.close();
  stream = null;
}

// The hub ends the stream together with the session, so ask at once. The browser connects anew by itself, unless the
// hub refused: then it is full, and we try later.
async function lost() {
  const refused = stream?.readyState === EventSource.CLOSED;
  if (refused) stream = null;
  await refresh();
  if (refused) setTimeout(() => stream === null && !document.hidden && open(), AGAIN_MS);
}

async function refresh() {
  missed = refreshing;
  if (refreshing) return;
  refreshing = true;
  try {
    const answer = await fetch(location.href, { headers: { "Plantgate-Live": "1" }, cache: "no-store" });
    // Signed out, or no longer allowed: what is on the screen must not stay there.
    if (answer.redirected || answer.status === 404 || answer.status === 403) location.reload();
    else if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    return; // offline for the moment; the stream says when the hub is back
  } finally {
    refreshing = false;
    if (missed) refresh();
  }
}

function swap(fresh) {
  document.getElementById("content").dataset.version = fresh.getElementById("content").dataset.version;
  const notes = [];
  for (const region of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${CSS.escape(region.dataset.live)}"]`);
    if (!next || next.innerHTML === region.original) continue;
    if (next.dataset.note && next.dataset.note !== region.dataset.note) notes.push(next.dataset.note);
    replace(region, next);
  }
  if (notes.length) announce(notes.join(" "));
}

function replace(region, next) {
  const focused = region.contains(document.activeElement) ? place(region, document.activeElement) : -1;
  const opened = [...region.querySelectorAll("details[open][id]")].map((details) => details.id);
  region.original = next.innerHTML;
  region.dataset.note = next.dataset.note ?? "";
  region.replaceChildren(...next.childNodes);
  showLocally(region);
  copies(region);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (focused >= 0) focusable(region)[focused]?.focus();
}

const focusable = (region) => [...region.querySelectorAll("a, button, input, select, summary")];
const place = (region, element) => focusable(region).indexOf(element);

let hiding;
function announce(text) {
  const note = document.getElementById("live-note");
  note.textContent = text;
  clearTimeout(hiding);
  hiding = setTimeout(() => (note.textContent = ""), 6000);
}
