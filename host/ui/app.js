// What makes the pages livelier. Every page works without it: links load pages, forms send, reloading shows progress.
"use strict";

// --- Parts that are fetched again when jobs change: [data-live]. A stream of events tells when; without it, once a second
// while something runs ([data-busy]). ---

let timer = 0;
let delay = 1000;
let source = null;
let fetching = false;
let again = false;

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

async function fetchPart(url) {
  const response = await fetch(url, { headers: { "X-Fragment": "1" }, credentials: "same-origin" });
  if (response.status === 401) location.reload();
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.text();
}

// Puts a new version of a part in place, unless somebody is about to use what is in it.
function replacePart(part, html) {
  const fresh = parse(html).getElementById(part.id);
  if (!fresh || part.outerHTML === fresh.outerHTML) return;
  const active = document.activeElement;
  const focused = part.contains(active) ? active : null;
  if (part.querySelector(":popover-open") || focused?.matches("input, select, summary, .more")) {
    // The state itself must not wait: it decides whether there is more to fetch.
    if (!fresh.hasAttribute("data-busy")) part.dataset.stale = "1";
    return;
  }
  for (const details of part.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = details.open;
  }
  const href = focused?.getAttribute("href");
  part.replaceWith(fresh);
  if (href) fresh.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus();
}

const BUSY = "[data-live][data-busy]";

function isStreaming() {
  return source?.readyState === EventSource.OPEN;
}

async function refresh() {
  if (document.hidden) return;
  if (fetching) {
    again = true;
    return;
  }
  // An event may be about a job that is new: then nothing here is busy yet.
  const parts = [...document.querySelectorAll(isStreaming() ? "[data-live]" : BUSY)];
  if (parts.length === 0) return;
  fetching = true;
  const wasBusy = document.querySelector(BUSY) !== null;
  try {
    // The gear tells of jobs that have nothing to do with this page: it is fetched with the others, and alone.
    const htmls = await Promise.all(parts.map((part) => fetchPart(part.dataset.live)));
    parts.forEach((part, i) => replacePart(part, htmls[i]));
    delay = 1000;
  } catch {
    delay = Math.min(delay * 2, 15000);
  }
  if (wasBusy && !document.querySelector(BUSY)) await refreshTree();
  fetching = false;
  if (again) {
    again = false;
    soon();
  } else {
    schedule();
  }
}

function schedule() {
  clearTimeout(timer);
  // A stream that is open tells of every change; the slow look is for what it may have missed.
  if (document.querySelector(BUSY)) timer = setTimeout(refresh, isStreaming() ? 15000 : delay);
}

// Several events at once are answered by one look, and a busy host by no more than two a second.
function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 500);
}

// Open only while the page is looked at: a browser has few connections to one host.
function follow() {
  if (source || document.hidden || !window.EventSource || !document.getElementById("gear")) return;
  source = new EventSource("/jobs/events");
  source.addEventListener("job", soon);
  source.addEventListener("reset", soon);
  source.addEventListener("error", () => {
    // The browser opens it again by itself unless it was refused.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(follow, 15000);
    }
    schedule();
  });
}

// When the last job has ended the tree may have grown.
async function refreshTree() {
  const tree = document.getElementById("browse");
  if (!tree || tree.contains(document.activeElement)) return;
  try {
    const fresh = parse(await fetchPart(location.href)).getElementById("browse");
    if (fresh) tree.replaceWith(fresh);
  } catch {
    // The page stays as it is; loading it again shows the rest.
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else {
    follow();
    soon();
  }
});

// --- The tree: a level is fetched when it is opened; what is open stands in the address. ---

function openInput() {
  return document.querySelector(".tree input[name=open]");
}

function openIds() {
  return (openInput()?.value ?? "").split(",").filter(Boolean);
}

function setOpen(ids) {
  const input = openInput();
  if (!input) return;
  input.value = ids.join(",");
  const here = new URL(location.href);
  here.searchParams.set("open", input.value);
  here.searchParams.delete("toggle");
  history.replaceState(history.state, "", here);
}

async function toggle(button) {
  const id = button.value;
  const item = button.closest("li");
  if (button.getAttribute("aria-expanded") === "true") {
    item.querySelector(":scope > ul")?.remove();
    button.setAttribute("aria-expanded", "false");
    setOpen(openIds().filter((open) => open !== id));
    return;
  }
  item.setAttribute("aria-busy", "true");
  try {
    const level = parse(await fetchPart(`/ui/tree/${encodeURIComponent(id)}`)).querySelector("ul");
    item.querySelector(":scope > ul")?.remove();
    item.append(level);
    button.setAttribute("aria-expanded", "true");
    setOpen([...openIds().filter((open) => open !== id), id]);
  } catch {
    location.reload();
  } finally {
    item.removeAttribute("aria-busy");
  }
}

// The way through the tree with the arrow keys.
function moveInTree(event) {
  const entry = event.target.closest(".entry");
  if (!entry) return;
  const all = [...document.querySelectorAll(".tree .entry")];
  const at = all.indexOf(entry);
  const button = entry.querySelector("button");
  const open = button?.getAttribute("aria-expanded") === "true";
  const go = (other) => other?.querySelector("a")?.focus();
  switch (event.key) {
    case "ArrowDown": go(all[at + 1]); break;
    case "ArrowUp": go(all[at - 1]); break;
    case "ArrowRight": if (button && !open) toggle(button); else go(all[at + 1]); break;
    case "ArrowLeft":
      if (open) toggle(button);
      else go(entry.parentElement.parentElement.closest("li")?.querySelector(":scope > .entry"));
      break;
    default: return;
  }
  event.preventDefault();
}

// A link to an object takes along what is open.
function withOpen(href, more) {
  const url = new URL(href, location.href);
  const ids = [...new Set([...openIds(), ...more])];
  if (ids.length > 0 && !url.searchParams.has("open")) url.searchParams.set("open", ids.join(","));
  return url.href;
}

// --- Dialogs: the same questions that are pages without this. ---

async function showDialog(href) {
  const dialog = document.getElementById("dialog");
  const body = parse(await fetchPart(href)).body;
  dialog.replaceChildren(...body.childNodes);
  dialog.showModal();
}

// --- Menus lie in the top layer: placed below their button, above it where there is no room. ---

function placeMenu(menu) {
  const button = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
  if (!button) return;
  const at = button.getBoundingClientRect();
  const below = at.bottom + 4 + menu.offsetHeight <= innerHeight;
  menu.style.margin = "0";
  menu.style.inset = "auto";
  menu.style.top = `${below ? at.bottom + 4 : Math.max(4, at.top - 4 - menu.offsetHeight)}px`;
  menu.style.left = `${Math.max(4, Math.min(at.right, innerWidth - 4) - menu.offsetWidth)}px`;
}

document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("[popover]") && event.newState === "open") placeMenu(event.target);
}, true);

for (const name of ["scroll", "resize"]) {
  addEventListener(name, () => document.querySelector(".menu:popover-open")?.hidePopover(), { capture: true, passive: true });
}

// --- What people do. ---

document.addEventListener("click", (event) => {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const button = event.target.closest(".tree button[name=toggle]");
  if (button) {
    event.preventDefault();
    toggle(button);
    return;
  }
  const link = event.target.closest("a");
  if (!link) return;
  if (link.matches("[data-dialog]")) {
    event.preventDefault();
    link.closest("[popover]")?.hidePopover();
    showDialog(link.href).catch(() => location.assign(link.href));
  } else if (link.matches("dialog [data-close]")) {
    event.preventDefault();
    link.closest("dialog").close();
  } else if (link.matches(".tree a")) {
    link.href = withOpen(link.href, []);
  } else if (link.matches("a.object")) {
    const here = location.pathname.match(/^\/ui\/object\/([0-9a-f-]+)/)?.[1];
    link.href = withOpen(link.href, here ? [here] : []);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest?.(".tree")) moveInTree(event);
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-filter]");
  if (form && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
});

// Empty fields would only make the address long.
document.addEventListener("formdata", (event) => {
  if (event.target.method !== "get") return;
  for (const [name, value] of [...event.formData]) if (value === "" && name !== "open") event.formData.delete(name);
});

// A form is sent once.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});

addEventListener("pagehide", () => {
  source?.close();
  source = null;
});

addEventListener("pageshow", (event) => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  // Back from another page: what was kept may be old.
  if (event.persisted) location.reload();
});

schedule();
follow();
