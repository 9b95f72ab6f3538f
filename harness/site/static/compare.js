// Rows of a board compared two by two, natural against robust accuracy, and robustness against the cost of training.
"use strict";

Promise.all(["boards", "comparisons"].map(harness.unpack)).then(([leaderboard, comparisons]) => {
  const { make, section, table } = harness;
  const right = (text) => ({ text, class: "figure" });
  const boards = new Map(leaderboard.boards.map((board) => [board.id, board]));
  let state = harness.state();

  if (!comparisons.length) {
    harness.page("Compare", [
      make("h1", {}, "Compare"),
      make("p", {}, "There is nothing to compare yet: no board has two measured rows. ", make("code", {}, "harness run sat trades --dataset digits --arch smallcnn"), " makes them."),
    ]);
    return;
  }

  const signed = (value, digits = 2) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(digits)}`;
  const p = (value) => (value >= 0.0005 ? `= ${value.toFixed(3)}` : "< 0.001");
  const place = (i, j, rows) => (i * (2 * rows - i - 1)) / 2 + (j - i - 1);

  /** Names that tell the rows apart: network and checkpoint are added where the rows differ in these. */
  function namesOf(board) {
    const differ = (key) => new Set(board.rows.map((row) => row[key])).size > 1;
    const more = ["network", "checkpoint"].filter(differ);
    return board.rows.map((row) => [row.name, ...more.map((key) => row[key])].join(" "));
  }

  /** The pair (i, j) of a column, turned so that it reads row i minus row j. */
  function pairOf(column, i, j, rows) {
    const found = column.pairs[place(Math.min(i, j), Math.max(i, j), rows)];
    if (!found) return null;
    const [difference, interval, test, n, unit, holm, significant, counts] = found;
    const turn = i < j ? 1 : -1;
    const ends = interval && (turn > 0 ? interval : [-interval[1], -interval[0]]);
    const both = counts && counts[0] !== counts[1] ? (turn > 0 ? counts : [counts[1], counts[0]]).join(" and ") : n;
    return { difference: turn * difference, interval: ends, test, over: `${both} ${unit}`, holm, significant };
  }

  const sentence = (pair) =>
    pair
      ? `${signed(pair.difference)} points${pair.interval ? ` [${pair.interval.map((end) => signed(end, 1)).join(", ")}]` : ""}, ` +
        `${pair.test} over ${pair.over}, p ${p(pair.holm)} after Holm's correction: ` +
        (pair.significant ? "a significant difference" : "no significant difference")
      : "not tested: no attack seed in common, no figure, or a training seed that collapsed";

  function shade(cell, share, colour) {
    cell.style.backgroundColor = `color-mix(in srgb, var(${colour}) ${(45 * Math.min(1, share)).toFixed(0)}%, var(--back))`;
    return cell;
  }

  /** A square of rows against rows. `cellOf(i, j)` gives {text, tip, share, colour}, or null. */
  function square(names, size, caption, cellOf) {
    const head = names.slice(0, size).map((name) => make("th", { scope: "col" }, make("span", {}, name)));
    const lines = names.slice(0, size).map((name, i) => {
      const cells = names.slice(0, size).map((_, j) => {
        if (i === j) return make("td", { class: "same" }, "");
        const { text, tip, share, colour } = cellOf(i, j);
        const cell = make("td", { "data-tip": tip, "data-row": i, "data-column": j }, text);
        if (i === state.first && j === state.second) cell.classList.add("chosen");
        return colour ? shade(cell, share, colour) : cell;
      });
      return make("tr", {}, make("th", { scope: "row" }, name), cells);
    });
    const grid = make(
      "table",
      { class: "square" },
      make("caption", {}, caption),
      make("thead", {}, make("tr", {}, make("td"), head)),
      make("tbody", {}, lines),
    );
    grid.addEventListener("click", ({ target }) => {
      if (target.dataset.row === undefined) return;
      state = { ...state, first: Number(target.dataset.row), second: Number(target.dataset.column) };
      show();
    });
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, grid);
  }

  function differences(names, column, size) {
    const all = column.pairs.filter(Boolean).map(([difference]) => Math.abs(difference));
    const most = Math.max(...all, 1e-9);
    return square(names, size, "Differences in points: row minus column", (i, j) => {
      const pair = pairOf(column, i, j, size);
      const tip = `${names[i]} minus ${names[j]}: ${sentence(pair)}`;
      if (!pair) return { text: "–", tip };
      const text = `${signed(pair.difference, 1)}${pair.significant ? "*" : ""}`;
      return { text, tip, share: Math.abs(pair.difference) / most, colour: pair.difference < 0 ? "--orange" : "--blue" };
    });
  }

  function overlaps(names, column, size, share) {
    if (!column.overlaps) return null;
    const known = column.overlaps.filter(Boolean);
    if (!known.length)
      return make("p", { class: "soft" }, "The vulnerability of each image was not kept under this attack; it is kept by newer versions of harness.");
    const expected = known[0][1] / known[0][2];
    const grid = square(names, size, "Overlap of the most vulnerable images, in percent", (i, j) => {
      const found = column.overlaps[place(Math.min(i, j), Math.max(i, j), size)];
      if (!found) return { text: "–", tip: "not known" };
      const [shared, count, examples, overlap, jaccard] = found;
      const tip = `${shared} of the ${count} most vulnerable of ${examples} images are those of both ${names[i]} and ${names[j]}; Jaccard ${jaccard.toFixed(2)}`;
      return { text: (100 * overlap).toFixed(0), tip, share: overlap, colour: "--green" };
    });
    return [
      make(
        "p",
        { class: "soft" },
        `The share of the ${(100 * share).toFixed(0)} % most vulnerable images of one network that are those of the other, too, in percent; ` +
          `${(100 * expected).toFixed(0)} for two random sets. One network each, of the first training seed and attack seed in common.`,
      ),
      grid,
    ];
  }

  function pairSection(names, column, size) {
    const { first, second } = state;
    const [low, high] = [Math.min(first, second), Math.max(first, second)];
    const turned = first > second;
    const tables = column.tables[place(low, high, size)].map(([a, b, both, one, other, neither, value]) => {
      const [seedA, seedB, onlyA, onlyB] = turned ? [b, a, other, one] : [a, b, one, other];
      const total = both + one + other + neither;
      const cell = (count, colour) => shade(make("td", { class: "figure" }, String(count)), count / total, colour);
      const title = seedA === null || seedB === null || seedA === undefined ? "one network each" : seedA === seedB ? `seed ${seedA}` : `seeds ${seedA} and ${seedB}`;
      return make(
        "table",
        { class: "crossed" },
        make("caption", {}, `${title}: McNemar's p ${p(value)}`),
        make("thead", {}, make("tr", {}, make("td"), make("th", { scope: "col" }, "B right"), make("th", { scope: "col" }, "B wrong"))),
        make(
          "tbody",
          {},
          make("tr", {}, make("th", { scope: "row" }, "A right"), cell(both, "--green"), cell(onlyA, "--blue")),
          make("tr", {}, make("th", { scope: "row" }, "A wrong"), cell(onlyB, "--orange"), cell(neither, "--text")),
        ),
      );
    });
    return section(
      `${names[first]} and ${names[second]}`,
      make("p", {}, make("b", {}, "A"), ` is ${names[first]}, `, make("b", {}, "B"), ` is ${names[second]}. A minus B: ${sentence(pairOf(column, first, second, size))}.`),
      make("p", { class: "soft" }, "Test images that each network has right under every attack seed; p is not corrected here."),
      make("div", { class: "tables" }, tables),
    );
  }

  function scatters(board, found, number, names) {
    const natural = board.columns.indexOf("natural");
    const title = board.titles[number];
    const parts = [];
    const rows = board.rows.map((row, i) => ({ row, i, figure: row.figures[number] })).filter(({ figure }) => figure.value !== null);
    const sorted = [...rows].sort((a, b) => b.figure.value - a.figure.value);
    if (natural >= 0 && natural !== number) {
      const front = new Set(found.fronts[number]);
      const points = rows
        .filter(({ row }) => row.figures[natural].value !== null)
        .map(({ row, i, figure }) => ({
          x: row.figures[natural].value, y: figure.value, xs: row.figures[natural].interval, ys: figure.interval,
          label: names[i], front: front.has(i), tip: `${names[i]}: natural ${row.figures[natural].text}, ${title} ${figure.text}`,
        }));
      const best = points.filter((point) => point.front).map(({ label }) => label).join(", ");
      const caption = `Natural accuracy against ${title}, in percent, with 95 % intervals over test images. On the Pareto front, where no other row is at least as good in both: ${best}.`;
      parts.push(
        section(
          `Natural accuracy against ${title}`,
          harness.scatter({ points, labels: ["natural, %", `${title}, %`], caption, line: true }),
          make("details", {}, make("summary", {}, "The figures as a table"),
            table({ heads: ["row", right("natural"), right(title), "on the Pareto front"], rows: sorted.map(({ row, i, figure }) => [names[i], right(row.figures[natural].text), right(figure.text), front.has(i) ? "yes" : "no"]) })),
        ),
      );
    }
    const machines = [...new Set(found.costs.filter(Boolean).map(([, machine]) => machine))];
    const charts = machines.map((machine) => {
      const own = sorted.filter(({ i }) => found.costs[i] && found.costs[i][1] === machine);
      const points = own.map(({ i, figure }) => ({
        x: found.costs[i][0], y: figure.value, xs: null, ys: figure.interval, label: names[i], front: false,
        tip: `${names[i]}: ${found.costs[i][0].toFixed(1)} s, ${title} ${figure.text}`,
      }));
      const caption = `${title} against the seconds of training one network on ${machine}, the median over networks.`;
      return points.length
        ? [
            harness.scatter({ points, labels: ["seconds of training", `${title}, %`], caption }),
            make("details", {}, make("summary", {}, "The figures as a table"),
              table({ heads: ["row", right("seconds"), right(title)], rows: own.map(({ i, figure }) => [names[i], right(found.costs[i][0].toFixed(1)), right(figure.text)]) })),
          ]
        : null;
    });
    if (charts.some(Boolean))
      parts.push(
        section(
          "Robustness against the cost of training",
          machines.length > 1 ? make("p", { class: "soft" }, "Times of different machines do not compare: each machine has a drawing of its own.") : null,
          charts,
        ),
      );
    return parts;
  }

  function choose(name, label, options, chosen) {
    const field = make("select", { name, id: `choose-${name}` }, options.map(([value, text]) => make("option", { value, selected: String(value) === String(chosen) }, text)));
    return make("label", { for: `choose-${name}` }, make("span", {}, label), field);
  }

  function show() {
    const found = comparisons.find(({ board }) => board === state.board) || comparisons[0];
    const board = boards.get(found.board);
    const number = Math.max(0, board.columns.includes(state.column) ? board.columns.indexOf(state.column) : board.columns.indexOf(board.ranked_by));
    const size = found.rows;
    const within = (value, other) => (Number.isInteger(Number(value)) && value !== "" && Number(value) >= 0 && Number(value) < size ? Number(value) : other);
    const first = within(state.first ?? "", 0);
    const second = within(state.second ?? "", first === 1 ? 0 : 1);
    state = { board: board.id, column: board.columns[number], first, second: first === second ? (first + 1) % size : second };
    const names = namesOf(board);
    const column = found.columns[number];
    const options = names.slice(0, size).map((name, i) => [i, name]);
    const focused = document.activeElement && document.activeElement.id;
    const form = make(
      "form",
      { class: "choose filters", "aria-label": "What to compare" },
      choose("board", "board", comparisons.map(({ board: id }) => [id, `${boards.get(id).tab}: ${boards.get(id).title}`]), board.id),
      choose("column", "under", board.columns.map((name, i) => [name, board.titles[i]]), state.column),
      choose("first", "A", options, state.first),
      choose("second", "B", options, state.second),
    );
    form.addEventListener("change", ({ target }) => {
      state = target.name === "board" ? { board: target.value } : { ...state, [target.name]: target.value };
      show();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    const some = found.of > size ? ` The best ${size} of ${found.of} rows are compared here; \`harness compare --all\` compares all.` : "";
    harness.page("Compare", [
      make("h1", {}, "Compare"),
      make("p", { class: "lead" }, `Rows of one board on the same test images: ${boards.get(board.id).tab}, ${board.title}.`),
      form,
      section(
        `Differences in ${board.titles[number]}`,
        make("p", { class: "soft" }, `Row minus column, in points: blue is better, orange is worse; * is significant at 0.05, Holm over ${column.pairs.filter(Boolean).length} pairs.${some}`),
        differences(names, column, size),
      ),
      pairSection(names, column, size),
      column.overlaps ? section("Do the same images break?", overlaps(names, column, size, found.share)) : null,
      scatters(board, found, number, names),
    ]);
    harness.keep(state);
    if (focused) document.getElementById(focused)?.focus();
  }

  addEventListener("hashchange", () => {
    state = harness.state();
    show();
  });
  show();
});
