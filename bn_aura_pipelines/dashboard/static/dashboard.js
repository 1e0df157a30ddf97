// What the pages do beyond what HTML does: news and presence as they come, lists that load on, and the last view
// kept when the next one cannot be had. Everything works without it.
"use strict";

const words = document.body.dataset;
const notice = document.getElementById("notice");
const toasts = document.getElementById("toasts");
const language = document.documentElement.lang;
let shownAt = new Date();

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// News and presence
const rooms = { customer: "/dashboard/customers/", lead: "/dashboard/sales/leads/" };
const address = (news) => (rooms[news.subject_type] && news.subject_id ? rooms[news.subject_type] + news.subject_id : "");

function toast(news) {
  const made = element("div", { className: news.priority > 0 ? "toast urgent" : "toast" });
  const close = element("button", { type: "button", textContent: "×", ariaLabel: words.dismiss });
  close.addEventListener("click", () => made.remove());
  made.append(element("strong", { textContent: news[`title_${language}`] }), close);
  made.append(element("p", { textContent: news[`message_${language}`] }));
  if (address(news)) made.append(element("a", { href: address(news), textContent: words.open }));
  toasts.append(made);
  while (toasts.children.length > 4) toasts.firstElementChild.remove();
  // Whoever reads it slowly, or points at it, keeps it.
  let timer;
  const leave = () => { timer = setTimeout(() => made.remove(), 12000); };
  made.addEventListener("pointerenter", () => clearTimeout(timer));
  made.addEventListener("focusin", () => clearTimeout(timer));
  made.addEventListener("pointerleave", leave);
  made.addEventListener("focusout", leave);
  leave();
}

function enlist(news) {
  const list = document.getElementById("news");
  if (!list) return;
  document.getElementById("no-news")?.remove();
  const time = new Date(news.created_at).toLocaleString(language === "th" ? "th-TH" : "en-GB", { dateStyle: "medium", timeStyle: "short" });
  const body = element("div", {}, element("strong", { textContent: news[`title_${language}`] }),
    element("p", { textContent: news[`message_${language}`] }), element("small", { textContent: time }));
  if (address(news)) body.lastChild.append(" · ", element("a", { href: address(news), textContent: words.open }));
  list.prepend(element("li", { className: news.priority > 0 ? "urgent" : "" }, body));
}

let people = null;
function showPresence() {
  const list = document.getElementById("present");
  if (list && people) list.replaceChildren(...people.map((name) => element("li", { textContent: name })));
}

function say(text) { notice.textContent = text; }
function clock(moment) {
  return moment.toLocaleTimeString(language === "th" ? "th-TH" : "en-GB", { hour: "2-digit", minute: "2-digit" });
}

let lost = 0;
const stream = new EventSource(words.stream);
stream.addEventListener("notification", (event) => {
  const news = JSON.parse(event.data);
  toast(news);
  enlist(news);
});
stream.addEventListener("presence", (event) => {
  people = JSON.parse(event.data);
  showPresence();
});
stream.addEventListener("open", () => {
  clearTimeout(lost);
  if (lost && notice.textContent) {
    say(words.back);
    setTimeout(() => say(""), 4000);
  }
  lost = 0;
});
stream.addEventListener("error", () => {
  if (!lost) lost = setTimeout(() => say(`${words.lost} ${clock(shownAt)}.`), 3000);
});
addEventListener("pagehide", () => stream.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// Lists that load on
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) loadOn(entry.target);
}, { rootMargin: "400px" });

async function loadOn(link) {
  const place = link.closest(".more");
  if (place.getAttribute("aria-busy") === "true") return;
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const here = document.querySelectorAll("[data-list]");
    const list = here[here.length - 1];
    const more = page.querySelectorAll("[data-list]");
    const target = list.tBodies ? list.tBodies[0] : list;
    const from = more[more.length - 1];
    target.append(...(from.tBodies ? from.tBodies[0] : from).children);
    const next = page.querySelector("[data-more]");
    watcher.unobserve(link);
    if (next) {
      link.href = next.getAttribute("href");
      place.removeAttribute("aria-busy");
      watcher.observe(link);
    } else place.remove();
  } catch {
    place.removeAttribute("aria-busy");
    say(words.unread);
  }
}

// The next view, or the last one kept. Of several asked for at once the last one counts.
let turn = 0;
let shown = location.pathname + location.search;
async function visit(url, remember) {
  const mine = ++turn;
  document.documentElement.classList.add("leaving");
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (answer.status >= 500) throw new Error(answer.status);
    if (answer.redirected && new URL(answer.url).pathname.endsWith("/sign-in")) {
      location.href = answer.url;
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== turn) return;
    for (const part of ["main", "#definitions", ".rooms"]) {
      const fresh = page.querySelector(part);
      if (fresh) document.querySelector(part)?.replaceWith(document.adoptNode(fresh));
    }
    for (const field of page.querySelectorAll('.menu input[name="next"]')) {
      for (const old of document.querySelectorAll('.menu input[name="next"]')) old.value = field.value;
    }
    document.title = page.title;
    if (remember) history.pushState({}, "", answer.url);
    shown = location.pathname + location.search;
    shownAt = new Date();
    if (!lost) say("");
    if (remember) scrollTo(0, 0);
    document.getElementById("main").focus({ preventScroll: true });
    begin();
  } catch {
    if (mine === turn) say(`${words.unread} (${clock(shownAt)})`);
  } finally {
    if (mine === turn) document.documentElement.classList.remove("leaving");
  }
}

addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !url.pathname.startsWith("/dashboard/") || link.hasAttribute("download")) return;
  if (url.hash && url.pathname === location.pathname) return;
  event.preventDefault();
  if (link.hasAttribute("data-more")) loadOn(link);
  else visit(url.href, true);
});
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "get") return;
  event.preventDefault();
  const asked = [...new FormData(form)].filter(([, value]) => value);
  visit(`${form.action}?${new URLSearchParams(asked)}`, true);
});
addEventListener("popstate", () => {
  if (location.pathname + location.search !== shown) visit(location.href, false);
});
addEventListener("keydown", (event) => {
  const menu = document.querySelector(".menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
addEventListener("pointerdown", (event) => {
  const menu = document.querySelector(".menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
});

function begin() {
  for (const link of document.querySelectorAll("[data-more]")) watcher.observe(link);
  showPresence();
}
begin();
