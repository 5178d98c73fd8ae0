/* What makes the console handier. Every page works without it. */
"use strict";
{
  const sendOnce = (form) => form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-disabled", "true");
  });

  const countSelection = (form) => {
    const boxes = [...form.querySelectorAll("input[type=checkbox][name=id]")];
    const head = form.querySelector("thead .jobs-check");
    if (!boxes.length || !head) return;
    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", head.textContent.trim());
    head.append(all);
    const show = () => {
      const chosen = boxes.filter((box) => box.checked).length;
      all.checked = chosen === boxes.length;
      all.indeterminate = chosen > 0 && !all.checked;
      for (const button of form.querySelectorAll("[data-needs-selection]")) button.disabled = !chosen;
    };
    all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); show(); });
    form.addEventListener("change", show);
    show();
  };

  /* Whoever has moved a wide table or graph to one side finds it there, and the focus that a click gave it too. */
  const keepScroll = (part, fresh) => {
    const before = [...part.querySelectorAll(".jobs-scroll")];
    const moved = before.map((each) => each.scrollLeft);
    const focused = before.indexOf(document.activeElement);
    part.replaceWith(fresh);
    fresh.querySelectorAll(".jobs-scroll").forEach((each, place) => {
      each.scrollLeft = moved[place] || 0;
      if (place === focused) each.focus({ preventScroll: true });
    });
  };

  /* Somebody is on a link or button of it, or marks its words to copy them: both would be lost. */
  const isInUse = (part) => {
    const active = document.activeElement;
    const selection = document.getSelection();
    const marks = !selection.isCollapsed && part.contains(selection.anchorNode);
    return marks || (part.contains(active) && !active.classList.contains("jobs-scroll"));
  };

  /* What goes on by itself is asked for again, while somebody looks, until it goes on no more. */
  const refresh = (part) => {
    const seconds = Number(part.dataset.refresh);
    if (!seconds) return;
    setTimeout(async () => {
      let next = part;
      if (!document.hidden && !isInUse(part)) {
        try {
          const answer = await fetch(location.href, { credentials: "same-origin" });
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const fresh = answer.ok && page.getElementById(part.id);
          // Also where it is gone: its last row was removed, or the login has run out.
          if (answer.ok && !fresh?.dataset.refresh) return location.reload();
          if (fresh) { keepScroll(part, fresh); next = fresh; }
        } catch { /* The next time may do. */ }
      }
      refresh(next);
    }, seconds * 1000);
  };

  document.querySelectorAll("[data-refresh]").forEach(refresh);
  document.querySelectorAll("form[data-once]").forEach(sendOnce);
  document.querySelectorAll("form").forEach(countSelection);
  // A page that comes back from the browser's memory may be sent again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-once]")) {
      delete form.dataset.sent;
      form.querySelectorAll("button").forEach((button) => button.removeAttribute("aria-disabled"));
    }
  });
}
