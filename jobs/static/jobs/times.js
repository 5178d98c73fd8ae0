/* Times by the reader's own clock, and how long ago, as time goes by. Without it they are the server's. */
"use strict";
{
  const language = document.documentElement.lang || undefined;
  const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
  const year = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" });
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const minutes = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const minuteOfDay = (at) => at.getHours() * 60 + at.getMinutes();

  /* Whether the server wrote it by a clock that differs from the reader's. */
  const isForeign = (text, at) => {
    const found = /([+-])(\d\d):(\d\d)$/.exec(text);
    const offset = found ? Number(`${found[1]}1`) * (Number(found[2]) * 60 + Number(found[3])) : 0;
    return offset !== -at.getTimezoneOffset();
  };

  const dated = (at) => (at.getFullYear() === new Date().getFullYear() ? day : year).format(at);
  const written = (time, at) => {
    if ("clock" in time.dataset) return clock.format(at);
    return `${dated(at)} ${("short" in time.dataset ? minutes : clock).format(at)}`;
  };

  const toLocal = (part) => {
    for (const time of part.querySelectorAll("time[data-local], time[data-clock], time[data-short]")) {
      const at = new Date(time.dateTime);
      if (isForeign(time.dateTime, at)) time.textContent = written(time, at);
    }
    // Of charts: the axis across, and what is said of a slice that is pointed at.
    for (const text of part.querySelectorAll("[data-moment]")) {
      const moment = text.dataset.moment;
      const at = new Date(moment);
      if (!moment || !isForeign(moment, at)) continue;
      const rest = text.textContent.indexOf(" · ");
      if (rest >= 0) text.textContent = `${day.format(at)} ${minutes.format(at)}${text.textContent.slice(rest)}`;
      else text.textContent = minuteOfDay(at) ? minutes.format(at) : day.format(at);
    }
  };

  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const ago = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });
  const tell = () => {
    for (const span of document.querySelectorAll(".jobs-ago[data-at]")) {
      const seconds = Math.trunc((new Date(span.dataset.at) - Date.now()) / 1000);
      const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) || units[3];
      const text = ago.format(Math.trunc(seconds / size), unit);
      if (span.dataset.told && span.dataset.told !== text) span.textContent = text;
      span.dataset.told = text;
    }
  };

  window.jobsTimes = { toLocal, clock };
  toLocal(document);
  tell();
  setInterval(() => { if (!document.hidden) tell(); }, 10000);
}
