// What every page shares. All text goes through textContent: whatever a name holds, it is shown and never run.
"use strict";

const harness = { packed: {} };

/** Make an element: `make("td", {class: "figure"}, "72.78", otherElement)`. Attributes that are null or false are left out. */
harness.make = function (name, attributes = {}, ...children) {
  const svg = /^(svg|g|line|circle|rect|path|text|title|polyline)$/.test(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false && value !== undefined)
      element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
};

/** The bytes of a text in base 85, as Python's `base64.b85encode` writes it. */
harness.bytes = function (text) {
  const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
  const value = new Uint8Array(128);
  [...ALPHABET].forEach((character, i) => (value[character.charCodeAt(0)] = i));
  const missing = (5 - (text.length % 5)) % 5;
  const whole = text + "~".repeat(missing);
  const bytes = new Uint8Array((whole.length / 5) * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < whole.length; i += 5) {
    let number = 0;
    for (let j = i; j < i + 5; j++) number = number * 85 + value[whole.charCodeAt(j)];
    view.setUint32((i / 5) * 4, number);
  }
  return bytes.subarray(0, bytes.length - missing);
};

/** Unpack a document that a script of data/ has brought along; rejects where the browser is too old. */
harness.unpack = async function (name) {
  const stream = new Blob([harness.bytes(harness.packed[name])]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};

/** The state in the address after `#`, such as `#sort=pgd&network=smallcnn`. */
harness.state = function () {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
};

/** An address with a state; empty values are left out. */
harness.address = function (page, state) {
  const kept = Object.entries(state).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(kept).toString();
  return page + (text ? "#" + text : page ? "" : "#");
};

/** Keep a state in the address, without a new entry in the browser's history. */
harness.keep = function (state) {
  history.replaceState(null, "", harness.address("", state));
};

/** A number as the terminal prints an interval: one decimal. */
harness.tenth = (value) => value.toFixed(1);
harness.interval = (pair) => (pair ? `[${harness.tenth(pair[0])}, ${harness.tenth(pair[1])}]` : "");

/** Show a text beside whatever is hovered or focused and has `data-tip`; Escape hides it. */
(function () {
  let tip = null;
  const hide = () => {
    if (tip) tip.remove();
    tip = null;
  };
  const show = (event) => {
    const owner = event.target.closest ? event.target.closest("[data-tip]") : null;
    if (tip && event.target.closest && event.target.closest(".tip")) return;
    hide();
    if (!owner) return;
    tip = harness.make("div", { class: "tip", role: "tooltip", id: "tip" }, owner.dataset.tip);
    document.body.append(tip);
    owner.setAttribute("aria-describedby", "tip");
    const place = owner.getBoundingClientRect();
    const left = Math.max(8, Math.min(place.left, document.documentElement.clientWidth - tip.offsetWidth - 8));
    const below = place.bottom + 4 + tip.offsetHeight < innerHeight;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(below ? place.bottom : place.top - tip.offsetHeight) + scrollY}px`;
  };
  document.addEventListener("mouseover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
})();
