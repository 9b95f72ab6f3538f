// Follows the database: asks whether this page has changed, and shows the new one unless somebody is busy with the old.
"use strict";

(function () {
  const EVERY_MS = 3000;
  const page = location.pathname.split("/").pop() || "index.html";
  const shown = document.body.dataset.version;
  const PLACE = "harness-place";
  const bar = harness.make("div", { class: "news", role: "status" });
  document.body.append(bar);

  const say = (...parts) => bar.replaceChildren(...parts);
  const reload = () => {
    sessionStorage.setItem(PLACE, JSON.stringify([location.href, scrollY]));
    location.reload();
  };
  const busy = () =>
    document.querySelector("tr.more, #tip") !== null ||
    /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName) ||
    String(getSelection()) !== "";

  async function ask() {
    if (document.hidden) return;
    let versions;
    try {
      versions = await (await fetch("version.json", { cache: "no-store" })).json();
    } catch {
      say("The server does not answer: the page may be old.");
      return;
    }
    if (versions[page] === shown) say();
    else if (!busy()) reload();
    else if (!bar.querySelector("button"))
      say("There are new results. ", harness.make("button", { type: "button", onclick: reload }, "Show them"));
  }

  function restore() {
    const [address, y] = JSON.parse(sessionStorage.getItem(PLACE) || "[null, 0]");
    sessionStorage.removeItem(PLACE);
    if (address === location.href) scrollTo(0, y);
  }

  if (document.documentElement.dataset.ready) restore();
  else new MutationObserver((_, observer) => (observer.disconnect(), restore())).observe(document.documentElement, { attributeFilter: ["data-ready"] });
  setInterval(ask, EVERY_MS);
})();
