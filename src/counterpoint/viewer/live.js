// Keeps a page up to date: the server tells when something has changed, the page is fetched again,
// and its body is replaced if it differs. Scroll positions, open details and the focus stay.
"use strict";
(() => {
  const RETRY = 5000, GRACE = 2500;
  let stream = null, shown = document.body.innerHTML, token = null, fetching = false, again = false;
  let state = "", lost = 0;

  const say = (text) => {
    state = text;
    const place = document.getElementById("live");
    if (place && place.textContent !== text) place.textContent = text;
  };

  // A name that the same part of the next body has too.
  const name = (element, counts) => {
    const near = element.closest("[id]");
    const label = element.querySelector("summary")?.textContent ?? element.getAttribute("href")
      ?? element.getAttribute("aria-label") ?? element.textContent.slice(0, 80);
    const key = [near ? near.id : "", element.localName, label].join("\n");
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return key + "\n" + counts.get(key);
  };
  const named = (selector) => {
    const counts = new Map();
    return [...document.querySelectorAll(selector)].map((e) => [name(e, counts), e]);
  };
  const REACHED = "a, summary, button, [tabindex]";

  const replaceBody = (next) => {
    const open = new Map(named("details").map(([key, e]) => [key, e.open]));
    const across = new Map(named(".scroll").map(([key, e]) => [key, e.scrollLeft]));
    const [x, y] = [scrollX, scrollY];
    const focused = named(REACHED).find(([, e]) => e === document.activeElement)?.[0];
    document.title = next.title;
    document.body.replaceChildren(...document.adoptNode(next.body).childNodes);
    document.dispatchEvent(new Event("replaced"));
    for (const [key, e] of named("details")) if (open.has(key)) e.open = open.get(key);
    for (const [key, e] of named(".scroll")) e.scrollLeft = across.get(key) ?? 0;
    named(REACHED).find(([key]) => key === focused)?.[1].focus({ preventScroll: true });
    scrollTo({ left: x, top: y, behavior: "instant" });
    say(state);
  };

  const isSelecting = () => !(getSelection()?.isCollapsed ?? true);

  const update = async () => {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(location.pathname, { cache: "no-store" });
      if (!answer.ok) { say("Cannot be drawn now: " + (await answer.text()).slice(0, 200)); return; }
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (next.querySelector("style").textContent !== document.querySelector("style").textContent) {
        location.reload();
        return;
      }
      say("Live");
      if (next.body.innerHTML === shown) return;
      if (isSelecting()) { token = null; return; }  // it is copied first
      shown = next.body.innerHTML;
      replaceBody(next);
    } catch {
      token = null;  // the stream tells whether the server has ended
    } finally {
      fetching = false;
      if (again) { again = false; update(); }
    }
  };

  const connect = () => {
    if (stream || document.hidden) return;
    stream = new EventSource("/events");
    stream.onopen = () => { clearTimeout(lost); lost = 0; say("Live"); };
    stream.onmessage = (event) => {
      if (event.data === token) return;
      token = event.data;
      update();
    };
    stream.onerror = () => {
      lost ||= setTimeout(() => say("Not connected: the page no longer updates"), GRACE);
      if (stream.readyState !== EventSource.CLOSED) return;  // it tries again by itself
      stream = null;
      setTimeout(connect, RETRY);
    };
  };

  // A page that nobody sees gives its connection back: a browser has few for each server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { stream?.close(); stream = null; } else connect();
  });
  document.addEventListener("selectionchange", () => {
    if (token === null && stream && !isSelecting()) { token = "asked"; update(); }
  });
  connect();
})();
