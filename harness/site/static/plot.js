// Small drawings in SVG: an interval with a dot for each network.
"use strict";

/** Where a value stands between the ends of an axis, as a percentage of the width. */
harness.place = (value, [low, high]) => `${(2 + (96 * (value - low)) / (high - low)).toFixed(2)}%`;

/** A figure on an axis: a line for the interval, a tick for the median, a dot for each network. */
harness.drawn = function (figure, axis, source) {
  const { make, place } = harness;
  if (figure.value === null) return make("span", { class: "absent" }, "–");
  const at = place(figure.value, axis);
  const said = [figure.text];
  const parts = [make("line", { class: "track", x1: "2%", x2: "98%", y1: "35%", y2: "35%" })];
  if (figure.interval) {
    const [low, high] = figure.interval;
    said.push(`interval over test images ${harness.interval(figure.interval)}`);
    parts.push(make("line", { class: "span", x1: place(low, axis), x2: place(high, axis), y1: "35%", y2: "35%" }));
  }
  if (figure.dots.length > 1) said.push(`networks ${figure.dots.map((dot) => dot.toFixed(2)).join(", ")}`);
  for (const dot of figure.dots.length > 1 ? figure.dots : [])
    parts.push(make("circle", { class: "dot", cx: place(dot, axis), cy: "80%", r: 3.25 }));
  parts.push(
    source === "measured"
      ? make("line", { class: "median", x1: at, x2: at, y1: "10%", y2: "60%" })
      : make("circle", { class: "hollow", cx: at, cy: "35%", r: 4 }),
  );
  return make("svg", { class: "interval", role: "img", "aria-label": said.join("; ") }, parts);
};

/** The ends and the middle of an axis, for the head of a column of drawings. */
harness.axis = function (axis) {
  const [low, high] = axis;
  const marks = [low, (low + high) / 2, high].map((value) => harness.make("span", {}, String(value)));
  return harness.make("span", { class: "axis", "aria-hidden": "true" }, marks);
};
