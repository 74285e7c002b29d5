// The page works without this. With it, it is live: rows come by server-sent events, and times count down.
"use strict";

const body = document.body;
const jobs = document.getElementById("jobs");
const live = document.getElementById("live");
const find = document.getElementById("q");
const count = document.getElementById("count");
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
const LOOK_AGAIN = 600000; // ms: bars move to the left

function span(seconds) {
  const parts = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [unit, size] of UNITS) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole || (unit === "s" && !parts.length)) parts.push(whole + unit);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  const now = Date.now() / 1000;
  for (const one of document.querySelectorAll("[data-expires]")) {
    const left = one.dataset.expires - now;
    say(one, left > 0 ? span(left) + " left" : "dead for " + span(-left));
  }
  for (const one of document.querySelectorAll("[data-due]")) {
    const left = one.dataset.due - now;
    say(one, left > 0 ? one.dataset.verb + " in " + span(left) : "due now");
  }
}

function filter() {
  if (!find) return;
  const wanted = find.value.trim().toLowerCase();
  let shown = 0;
  for (const one of jobs.children) {
    one.hidden = !one.dataset.name.toLowerCase().includes(wanted);
    if (!one.hidden) shown += 1;
  }
  say(count, wanted ? shown + " of " + jobs.children.length : "");
}

function parsed(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html; // escaped by the server
  return holder.content.firstElementChild;
}

function focused() {
  const inside = document.activeElement && document.activeElement.closest(".job");
  return inside ? inside.id : null;
}

function update(news) {
  const kept = focused();
  const answer = document.getElementById("answer");
  const whole = document.createElement("template");
  whole.innerHTML = news.headline;
  const before = answer.querySelector("h1").textContent;
  const heading = whole.content.querySelector("h1").textContent;
  if (before !== heading) answer.replaceChildren(...whole.content.childNodes); // spoken only where it is new
  else answer.querySelector("p").replaceWith(whole.content.querySelector("p"));
  answer.className = "answer " + news.tone;
  document.title = heading.trim().replace(/\s+/g, " ") + " · refresher";
  for (const [id, html] of Object.entries(news.rows)) {
    const row = parsed(html);
    const old = document.getElementById(id);
    row.classList.add("fresh-news");
    if (old) old.replaceWith(row);
    else jobs.append(row);
  }
  if (news.order) {
    const places = new Map(news.order.map((id, place) => [id, place]));
    for (const one of [...jobs.children]) if (!places.has(one.id)) one.remove();
    const sorted = [...jobs.children].sort((one, two) => places.get(one.id) - places.get(two.id));
    sorted.forEach((one, place) => {
      if (jobs.children[place] !== one) jobs.insertBefore(one, jobs.children[place]);
    });
  }
  if (kept && !(document.activeElement && document.activeElement.closest(".job"))) {
    const link = document.getElementById(kept);
    if (link) link.querySelector("a").focus();
  }
  filter();
}

async function again() {
  const answer = await fetch(location.href);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = [...document.querySelectorAll("details")].map((one) => one.open);
  document.getElementById("main").replaceChildren(...fresh.getElementById("main").childNodes);
  document.querySelectorAll("details").forEach((one, place) => { if (place in open) one.open = open[place]; });
  document.title = fresh.title;
}

if (body.dataset.stream) {
  if (jobs && find.value) jobs.dataset.filtered = "1"; // the server left the others out
  const mark = body.dataset.stream.includes("?") ? "&" : "?";
  const stream = new EventSource(body.dataset.stream + mark + "since=" + encodeURIComponent(body.dataset.revision));
  live.hidden = false;
  stream.onopen = () => { live.textContent = "live"; live.className = "live"; body.classList.add("is-live"); };
  stream.onerror = () => { live.textContent = "connection lost: trying again"; live.className = "live broken"; body.classList.remove("is-live"); };
  stream.addEventListener("restarted", () => location.reload());
  stream.addEventListener("jobs", (event) => {
    const news = JSON.parse(event.data);
    if (!jobs || jobs.dataset.filtered) again();
    else update(news);
    body.dataset.updates = Number(body.dataset.updates || 0) + 1;
  });
  window.addEventListener("pagehide", () => stream.close());
  setInterval(tick, 1000);
  setInterval(() => { if (!document.hidden && !focused()) location.reload(); }, LOOK_AGAIN);
}
if (find && jobs && !jobs.dataset.filtered) find.addEventListener("input", filter);
