// The page of a method: formula, source, settings, its rows, its networks, and their curves.
"use strict";

Promise.all(["boards", "methods", "runs"].map(harness.unpack)).then(([leaderboard, methods, { runs }]) => {
  const { make, section, table } = harness;
  const right = (text) => ({ text, class: "figure" });
  const rowsOf = (name) =>
    leaderboard.boards.flatMap((board) => board.rows.filter((row) => row.method === name).map((row) => [board, row]));

  function list() {
    const rows = methods.map((method) => [
      make("a", { href: harness.address("", { method: method.name }) }, method.name),
      right(String(runs.filter((run) => run.method === method.name).length)),
      method.here ? harness.coded(method.about[0] || "–") : method.why,
    ]);
    harness.page("Methods", [
      make("h1", {}, "Methods"),
      make("p", { class: "lead" }, "Each method is one file. Its page has its formula, source, settings, and every network that it trained."),
      methods.length ? table({ heads: ["method", right("runs"), "what it does"], rows, classes: "wide stack" }) : make("p", {}, "No run yet."),
    ]);
  }

  function figures(name) {
    return rowsOf(name).map(([board, row]) => {
      const heads = ["rank", ...board.titles.map(right)];
      const cells = [row.rank_text, ...row.figures.map((figure) => right(figure.text))];
      const title = [make("span", { class: `badge ${board.source}` }, board.source), ` ${row.name}, ${row.network}, ${row.checkpoint}: ${board.title}`];
      return make("div", { class: `standing ${board.source}` }, make("h3", {}, title), table({ heads, rows: [cells], caption: `${row.name} ${board.title}` }));
    });
  }

  function curves(own) {
    const groups = new Map();
    for (const run of own.filter(({ curves: known }) => known)) {
      const key = `${run.label}, ${run.network}, ${run.dataset}, ${run.epochs[1]} epochs`;
      groups.set(key, [...(groups.get(key) || []), run]);
    }
    return [...groups].map(([name, group]) => {
      const names = [...new Set(group.flatMap((run) => Object.keys(run.curves.series)))].filter((series) => series !== "lr");
      const charts = names.map((series) => {
        const x = [...new Set(group.flatMap((run) => run.curves.epochs))].sort((a, b) => a - b);
        const lines = group.map((run) => {
          const at = new Map(run.curves.epochs.map((epoch, i) => [epoch, (run.curves.series[series] || [])[i] ?? null]));
          return { label: `seed ${run.seed}`, values: x.map((epoch) => at.get(epoch) ?? null) };
        });
        const title = series.replaceAll("_", " ");
        const caption = `${title} of ${group.length} network${group.length > 1 ? "s" : ""} over ${x.at(-1)} epochs`;
        return harness.lines({ x, series: lines, labels: ["epoch", ""], caption, height: 200 });
      });
      return [make("h3", {}, name), make("div", { class: "charts" }, charts)];
    });
  }

  function detail(method) {
    const own = runs.filter((run) => run.method === method.name);
    const parts = [make("h1", {}, method.name), make("p", {}, make("a", { href: "method.html" }, "all methods"))];
    if (method.here) {
      parts.push(method.about.map((text, i) => make("p", { class: i ? null : "lead" }, harness.coded(text))));
      if (method.formula)
        parts.push(section("Formula", make("p", { class: "formula" }, method.formula), make("p", { class: "soft" }, "The objective of one example with the default settings; docs/methods.md has the notation.")));
    } else parts.push(make("p", { class: "empty" }, `The method's file is not here, so only its results are shown: ${method.why}.`));
    const standing = figures(method.name);
    if (standing.length) parts.push(section("Figures", standing));
    if (method.settings && method.settings.length)
      parts.push(section("Settings", table({ heads: ["setting", "type", "default", "meaning"], rows: method.settings, classes: "wide stack" })));
    if (own.length) {
      const rows = own.map((run) => [
        make("a", { href: `run.html#run=${run.id}` }, String(run.id)),
        run.label,
        run.network,
        run.dataset,
        right(String(run.seed)),
        run.status === "done" ? "done" : make("span", { class: run.status === "failed" ? "failed" : "running" }, run.status),
      ]);
      parts.push(section("Networks", table({ heads: ["run", "label", "network", "data set", right("seed"), "status"], rows, classes: "wide" })));
      parts.push(section("Training curves", curves(own)));
    }
    if (method.publications && method.publications.length)
      parts.push(
        section(
          "Source",
          method.publications.map(({ title, bibtex }) => [make("p", {}, title), make("pre", { tabindex: "0" }, make("code", {}, bibtex))]),
        ),
      );
    harness.page(method.name, parts);
  }

  function show() {
    const name = harness.state().method;
    const method = methods.find((known) => known.name === name);
    if (method) detail(method);
    else list();
    if (name && !method) document.querySelector("h1").after(make("p", { class: "failed" }, `There is no method ${name} here.`));
  }

  addEventListener("hashchange", () => {
    show();
    scrollTo(0, 0);
  });
  show();
});
