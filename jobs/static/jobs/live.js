/* What goes on is shown anew while somebody looks and is at nothing else. Every page stands without it. */
"use strict";
{
  const IDLE = 10, SLOWEST = 60, KEPT = "jobs-refresh-paused";
  const keeping = document.getElementById("jobs-keeping");
  const pause = document.getElementById("jobs-pause");
  const shown = { at: new Date(), etag: "", failures: 0, same: 0, timer: 0, looks: false };

  const shell = () => document.querySelector("[data-shell]");
  const parts = () => [...document.querySelectorAll("[data-refresh]")];
  const isPaused = () => { try { return localStorage.getItem(KEPT) === "yes"; } catch { return false; } };
  const say = (text) => { const said = document.getElementById("jobs-said"); if (said && text) said.textContent = text; };

  /* Seconds until the next look: more when nothing changes, and more still when nobody answers. */
  const pace = () => {
    const often = Math.min(IDLE, ...parts().map((part) => Number(part.dataset.refresh)));
    if (shown.failures) return Math.min(SLOWEST, often * 2 ** (shown.failures - 1));
    return Math.min(Math.max(often, IDLE), often * 1.5 ** shown.same);
  };

  /* Somebody fills in a form, has chosen rows, or marks words to copy them: that would be lost. */
  const isBusy = () => {
    const active = document.activeElement;
    if (active?.closest("form, select, textarea, input") && active.closest(".jobs-console, [data-refresh]")) return true;
    if (document.querySelector('input[type="checkbox"][name="id"]:checked')) return true;
    const marked = document.getSelection();
    return !marked.isCollapsed && parts().some((part) => part.contains(marked.anchorNode));
  };

  /* What an element is known by when its part is shown anew. */
  const likeness = (element) => {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const name = element.localName;
    if (element.hasAttribute("href")) return `${name}[href="${CSS.escape(element.getAttribute("href"))}"]`;
    return `${name}${[...element.classList].map((each) => `.${CSS.escape(each)}`).join("")}`;
  };
  const sameIn = (fresh, part, element) => {
    const like = likeness(element);
    return fresh.querySelectorAll(like)[[...part.querySelectorAll(like)].indexOf(element)];
  };

  /* Focus, open details and what was scrolled stay as they were. */
  const replace = (part, fresh) => {
    const active = part.contains(document.activeElement) ? sameIn(fresh, part, document.activeElement) : null;
    for (const open of part.querySelectorAll("details")) {
      const same = sameIn(fresh, part, open);
      if (same) same.open = open.open;
    }
    const moved = [...part.querySelectorAll(".jobs-scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
    part.replaceWith(fresh);
    fresh.querySelectorAll(".jobs-scroll").forEach((each, place) => { [each.scrollLeft, each.scrollTop] = moved[place] || [0, 0]; });
    active?.focus({ preventScroll: true });
    window.jobsTimes?.toLocal(fresh);
    window.jobsConsole?.shown(fresh);
  };

  /* A list does not move under the reader: its rows are shown anew, and new ones wait until they are asked for. */
  const waitingRows = (part, fresh) => {
    const keys = new Set([...part.querySelectorAll("tr[data-key]")].map((row) => row.dataset.key));
    return keys.size ? [...fresh.querySelectorAll("tr[data-key]")].filter((row) => !keys.has(row.dataset.key)) : [];
  };
  const holdBack = (part, fresh, count) => {
    for (const row of part.querySelectorAll("tr[data-key]")) {
      const same = fresh.querySelector(`tr[data-key="${CSS.escape(row.dataset.key)}"]`);
      if (same && !row.contains(document.activeElement)) { const copy = same.cloneNode(true); row.replaceWith(copy); window.jobsTimes?.toLocal(copy); }
    }
    let button = part.querySelector(".jobs-new");
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.className = "button jobs-new";
      part.prepend(button);
    }
    const text = (keeping?.dataset.new || "%s new").replace("%s", count);
    if (button.textContent !== text) say(text);
    button.textContent = text;
    button.onclick = () => { const rows = fresh.querySelector(".jobs-scroll"); replace(part, fresh); rows?.focus(); };
  };

  const show = (part, fresh) => {
    const waiting = waitingRows(part, fresh);
    if (waiting.length) return holdBack(part, fresh, waiting.length);
    return replace(part, fresh);
  };

  /* The server is away: what is seen is old, and nothing can be done from here. */
  const markStale = (stale) => {
    const note = document.getElementById("jobs-stale");
    if (!note || document.body.classList.contains("jobs-is-stale") === stale) return;
    document.body.classList.toggle("jobs-is-stale", stale);
    const clock = window.jobsTimes?.clock;
    note.textContent = stale ? keeping.dataset.stale.replace("%s", clock ? clock.format(shown.at) : shown.at.toLocaleTimeString()) : "";
    note.hidden = !stale;
    say(stale ? note.textContent : keeping.dataset.back);
    for (const button of document.querySelectorAll(".jobs-console :is(button, a.button, input[type=submit])")) {
      if (stale) button.dataset.off = "yes"; else delete button.dataset.off;
      button.toggleAttribute("aria-disabled", stale);
    }
  };
  document.addEventListener("click", (event) => { if (event.target.closest?.("[data-off]")) event.preventDefault(); }, true);
  document.addEventListener("submit", (event) => { if (document.body.classList.contains("jobs-is-stale")) event.preventDefault(); }, true);

  const tellRecorded = (answer) => {
    const at = answer.headers.get("Jobs-Recorded");
    const time = at && document.querySelector("#jobs-shell time[data-clock]");
    if (!time) return;
    time.dateTime = at;
    if (window.jobsTimes) time.textContent = window.jobsTimes.clock.format(new Date(at));
  };

  const look = async () => {
    const asked = [...parts(), ...(shell() ? [shell()] : [])];
    if (!asked.length) return;
    const address = parts().length ? location.href : shell().dataset.shell;
    const headers = { "Jobs-Live": asked.map((part) => part.id).join(" ") };
    if (shown.etag) headers["If-None-Match"] = shown.etag;
    const answer = await fetch(address, { credentials: "same-origin", headers });
    if (answer.status >= 500) throw new Error(answer.statusText);
    shown.failures = 0;
    shown.at = new Date();
    markStale(false);
    tellRecorded(answer);
    shown.same = answer.status === 304 ? shown.same + 1 : 0;
    if (answer.status === 304) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // It was asked for before somebody began to do something here.
    if (isBusy()) return;
    shown.etag = answer.headers.get("ETag") || "";
    for (const part of asked) {
      const fresh = page.getElementById(part.id);
      // Also where it is gone: its last row was removed, or the login has run out.
      if (part.dataset.refresh && answer.ok && !fresh?.dataset.refresh) { location.reload(); return; }
      if (fresh && answer.ok) show(part, fresh);
    }
  };

  const next = () => {
    clearTimeout(shown.timer);
    if (parts().length || shell()) shown.timer = setTimeout(turn, pace() * 1000);
  };
  const turn = async () => {
    if (!document.hidden && !isPaused() && !isBusy() && !shown.looks) {
      shown.looks = true;
      try { await look(); } catch { shown.failures += 1; markStale(true); }
      shown.looks = false;
    }
    next();
  };

  const showPause = () => { pause.setAttribute("aria-pressed", String(isPaused())); };
  if (pause) {
    keeping.hidden = false;
    showPause();
    pause.addEventListener("click", () => {
      const paused = !isPaused();
      try { localStorage.setItem(KEPT, paused ? "yes" : "no"); } catch { /* Then it is for this page alone. */ }
      showPause();
      say(paused ? keeping.dataset.paused : keeping.dataset.goesOn);
      if (!paused) turn();
    });
  }
  // Who comes back to the tab sees how things are, not how they were.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
  next();
}
