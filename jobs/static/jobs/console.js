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
