// A scatter plot in SVG: labelled points, intervals, and a line through those that no other point beats.
"use strict";

/** Round steps between two numbers: at most six. */
harness.marks = function (low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const marks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) marks.push(Number((i * step).toPrecision(6)));
  return marks;
};

/**
 * `points` are {x, y, label, xs, ys, front}: xs and ys are the ends of intervals, or null.
 * `labels` name the axes; `caption` says in words what is shown.
 */
harness.scatter = function ({ points, labels, caption, line = false }) {
  const { make } = harness;
  const [width, height] = matchMedia("(max-width: 46rem)").matches ? [400, 340] : [640, 380];
  const frame = { left: 56, right: 16, top: 14, bottom: 46 };
  const ends = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    return [low - room, high + room];
  };
  const xEnds = ends(points.flatMap(({ x, xs }) => [x, ...(xs || [])]));
  const yEnds = ends(points.flatMap(({ y, ys }) => [y, ...(ys || [])]));
  const atX = (x) => frame.left + ((x - xEnds[0]) / (xEnds[1] - xEnds[0])) * (width - frame.left - frame.right);
  const atY = (y) => height - frame.bottom - ((y - yEnds[0]) / (yEnds[1] - yEnds[0])) * (height - frame.top - frame.bottom);
  const parts = [];
  for (const mark of harness.marks(...xEnds))
    parts.push(
      make("line", { class: "grid", x1: atX(mark), x2: atX(mark), y1: frame.top, y2: height - frame.bottom }),
      make("text", { class: "mark", x: atX(mark), y: height - frame.bottom + 16, "text-anchor": "middle" }, String(mark)),
    );
  for (const mark of harness.marks(...yEnds))
    parts.push(
      make("line", { class: "grid", x1: frame.left, x2: width - frame.right, y1: atY(mark), y2: atY(mark) }),
      make("text", { class: "mark", x: frame.left - 8, y: atY(mark) + 4, "text-anchor": "end" }, String(mark)),
    );
  parts.push(
    make("text", { class: "name", x: (width + frame.left) / 2, y: height - 8, "text-anchor": "middle" }, labels[0]),
    make("text", { class: "name", x: 14, y: height / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${height / 2})` }, labels[1]),
  );
  if (line) {
    const front = points.filter((point) => point.front).sort((a, b) => a.x - b.x || b.y - a.y);
    parts.push(make("polyline", { class: "front", points: front.map(({ x, y }) => `${atX(x)},${atY(y)}`).join(" ") }));
  }
  for (const { x, y, xs, ys } of points) {
    if (xs) parts.push(make("line", { class: "whisker", x1: atX(xs[0]), x2: atX(xs[1]), y1: atY(y), y2: atY(y) }));
    if (ys) parts.push(make("line", { class: "whisker", x1: atX(x), x2: atX(x), y1: atY(ys[0]), y2: atY(ys[1]) }));
  }
  const taken = points.map(({ x, y }) => ({ left: atX(x) - 6, right: atX(x) + 6, top: atY(y) - 6, bottom: atY(y) + 6 }));
  for (const point of points) {
    const [x, y] = [atX(point.x), atY(point.y)];
    parts.push(make("circle", { class: point.front ? "point first" : "point", cx: x, cy: y, r: 5 }, make("title", {}, point.tip)));
    const short = point.label.length > 24 ? `${point.label.slice(0, 23)}…` : point.label;
    const wide = short.length * 6.6;
    const places = [
      [x + 9, y + 4, "start"], [x - 9, y + 4, "end"], [x, y - 10, "middle"], [x, y + 18, "middle"],
      [x + 9, y - 8, "start"], [x + 9, y + 16, "start"], [x - 9, y - 8, "end"], [x - 9, y + 16, "end"],
    ];
    for (const [tx, ty, anchor] of places) {
      const left = anchor === "start" ? tx : anchor === "end" ? tx - wide : tx - wide / 2;
      const box = { left, right: left + wide, top: ty - 10, bottom: ty + 3 };
      const free = box.left > frame.left && box.right < width && box.top > 0 && box.bottom < height - frame.bottom;
      if (!free || taken.some((o) => o.left < box.right && box.left < o.right && o.top < box.bottom && box.top < o.bottom)) continue;
      taken.push(box);
      parts.push(make("text", { class: "label", x: tx, y: ty, "text-anchor": anchor }, short));
      break;
    }
  }
  const svg = make("svg", { class: "scatter", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": caption }, parts);
  return make("figure", {}, svg, make("figcaption", {}, caption));
};
