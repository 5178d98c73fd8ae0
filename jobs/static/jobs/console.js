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

  /* The rows of a form may be shown anew, so they are looked for each time. */
  const countSelection = (form) => {
    const boxes = () => [...form.querySelectorAll("input[type=checkbox][name=id]")];
    const head = form.querySelector("thead .jobs-check");
    if (!boxes().length || !head) return;
    if (!head.querySelector("input")) {
      const all = document.createElement("input");
      all.type = "checkbox";
      all.setAttribute("aria-label", head.textContent.trim());
      head.append(all);
      all.addEventListener("change", () => { boxes().forEach((box) => { box.checked = all.checked; }); show(); });
    }
    const show = () => {
      const there = boxes();
      const chosen = there.filter((box) => box.checked).length;
      const all = form.querySelector("thead .jobs-check input");
      all.checked = chosen === there.length;
      all.indeterminate = chosen > 0 && !all.checked;
      for (const button of form.querySelectorAll("[data-needs-selection]")) button.disabled = !chosen;
    };
    form.onchange = show;
    show();
  };
  window.jobsConsole = { shown: (part) => { const form = part.closest("form"); if (form) countSelection(form); } };

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
