// Line charts by uPlot, in the colours of the page; each has a caption that says in words what it shows.
"use strict";

(function () {
  const { make } = harness;
  const COLOURS = ["--blue", "--orange", "--green", "--purple", "--text"];
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [4, 2]];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const open = new Set();

  /** The marks of an axis in words: with as many decimals as it takes to tell two neighbours apart. */
  function labelled(marks) {
    const step = marks.length > 1 ? Math.abs(marks[1] - marks[0]) : 1;
    const decimals = Math.min(12, Math.max(0, Math.ceil(1 - Math.log10(step))));
    return marks.map((mark) => String(Number(mark.toFixed(decimals))));
  }

  function built(chart) {
    const { holder, x, series, labels, height } = chart;
    const text = colour("--soft");
    const font = "12px system-ui, sans-serif";
    const axis = (label, more) => ({
      stroke: text,
      font,
      labelFont: font,
      label,
      labelSize: 20,
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
      values: (_, marks) => labelled(marks),
      ...more,
    });
    const options = {
      width: Math.max(220, holder.clientWidth),
      height,
      scales: { x: { time: false }, y: chart.range ? { range: chart.range } : {} },
      axes: [axis(labels[0], { size: 40 }), axis(labels[1], { size: 58 })],
      legend: { show: series.length > 1 },
      cursor: { drag: { x: false, y: false } },
      series: [
        { label: labels[0] },
        ...series.map(({ label, points }, i) => ({
          label,
          stroke: colour(COLOURS[i % COLOURS.length]),
          dash: DASHES[i % DASHES.length],
          width: 2,
          spanGaps: true,
          points: { show: points === true || x.length < 2, size: 7 },
          value: (_, value) => (value === null || value === undefined ? "–" : String(value)),
        })),
      ],
    };
    holder.replaceChildren();
    chart.plot = new uPlot(options, [x, ...series.map(({ values }) => values)], holder);
    chart.plot.root.querySelector("canvas").setAttribute("aria-hidden", "true");
  }

  /**
   * A chart of lines over common values of x.
   * `series` are {label, values, points}; a value that is null is a gap. `caption` says in words what is shown.
   */
  harness.lines = function ({ x, series, labels, caption, height = 200, range = null }) {
    const holder = make("div", { class: "chart", role: "img", "aria-label": caption });
    const chart = { holder, x, series, labels, height, range };
    open.add(chart);
    requestAnimationFrame(() => built(chart));
    return make("figure", {}, holder, make("figcaption", {}, caption));
  };

  let waiting = null;
  const again = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const chart of open) {
        if (chart.holder.isConnected) built(chart);
        else open.delete(chart);
      }
    }, 120);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("resize", again);
})();

/** A table; a cell is a text, an element, or {text, class}. The first cell of a row is its head. */
harness.table = function ({ heads, rows, caption = null, classes = "" }) {
  const { make } = harness;
  const cell = (name, content, scope) => {
    const plain = content === null || typeof content !== "object" || content instanceof Node || Array.isArray(content);
    const { text, class: kind } = plain ? { text: content, class: null } : content;
    return make(name, { scope, class: kind || null }, text);
  };
  const element = make(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption || heads.map((h) => h.text || h).join(", ") },
    make(
      "table",
      { class: classes || null },
      caption ? make("caption", {}, caption) : null,
      make("thead", {}, make("tr", {}, heads.map((head) => cell("th", head, "col")))),
      make(
        "tbody",
        {},
        rows.map(([first, ...rest]) => make("tr", {}, cell("th", first, "row"), rest.map((content) => cell("td", content)))),
      ),
    ),
  );
  return harness.roles(element);
};

/** Say by roles what is a table: a style that turns rows into cards would hide it from a screen reader. */
harness.roles = function (element) {
  const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell", "th[scope=col]": "columnheader", "th[scope=row]": "rowheader" };
  for (const [selector, role] of Object.entries(ROLES))
    for (const part of element.querySelectorAll(selector)) part.setAttribute("role", role);
  for (const part of element.querySelectorAll("td")) {
    const head = part.closest("table").querySelector("thead tr")?.cells[part.cellIndex];
    if (head) part.dataset.label = head.textContent;
  }
  return element;
};

/** A text in which ``...`` marks code. */
harness.coded = (text) => text.split("``").map((part, i) => (i % 2 ? harness.make("code", {}, part) : part));

/** A share as a bar with its text. */
harness.bar = function (share, text) {
  const fill = harness.make("span", { class: "fill" });
  fill.style.width = `${(100 * share).toFixed(2)}%`;
  return harness.make("span", { class: "bar" }, fill, harness.make("span", { class: "said" }, text));
};

/** Show a document in place of the page's content, and name the page after it. */
harness.page = function (title, parts) {
  document.title = `${title} · harness`;
  document.getElementById("page").replaceChildren(...parts.flat(Infinity).filter(Boolean));
  document.documentElement.dataset.ready = "yes";
};

/** A section with a head. */
harness.section = (title, ...parts) =>
  harness.make("section", {}, harness.make("h2", {}, title), parts.flat(Infinity).filter(Boolean));

/** Names and texts, one below the other. */
harness.facts = (facts) =>
  harness.make(
    "dl",
    { class: "facts" },
    Object.entries(facts).map(([name, text]) => [harness.make("dt", {}, name), harness.make("dd", {}, text)]),
  );
