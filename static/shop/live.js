// Keeps an order's progress fresh. Without this script the page reloads itself (see order.html).
//
// The server says in data-next-seconds when to look again, and by ETag whether anything has changed.
"use strict";

const LONGEST_PAUSE_SECONDS = 30;
// A minute in which nothing changed: somebody has to mend something, and that takes longer.
const PATIENCE_LOOKS = 60;
const place = document.querySelector("[data-live]");

let etag = "";
let failures = 0;
let unchanged = 0;

function pauseSeconds() {
  const wanted = Number(place.firstElementChild.dataset.nextSeconds) || 5;
  const stretch = unchanged > PATIENCE_LOOKS ? 5 : 1;
  return Math.min(wanted * stretch * 2 ** failures, LONGEST_PAUSE_SECONDS);
}

function show(html) {
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus();
  announce();
}

function announce() {
  const told = document.getElementById("told");
  const headline = place.firstElementChild.dataset.headline;
  if (told.textContent !== headline) told.textContent = headline;
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(place.dataset.live, { headers: { "If-None-Match": etag }, cache: "no-store" });
      if (!answer.ok && answer.status !== 304) throw new Error(answer.status);
      if (answer.ok) {
        etag = answer.headers.get("ETag") || "";
        show(await answer.text());
      }
      unchanged = answer.ok ? 0 : unchanged + 1;
      failures = 0;
    } catch {
      failures += 1;
    }
  }
  setTimeout(look, pauseSeconds() * 1000);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) failures = unchanged = 0;
});
setTimeout(look, pauseSeconds() * 1000);
