// The leaderboard: tabs, filters, sorting, drawings, and the details of a row. The address keeps the state.
"use strict";

harness.unpack("boards").then((document_) => {
  const { make } = harness;
  const TEXT = ["method", "network", "checkpoint", "flags"];
  const FILTERS = ["network", "method", "protocol", "checkpoint", "source"];
  const boards = document_.boards.map((board) => {
    const section = document.getElementById(board.id);
    const elements = [...section.querySelectorAll("tbody tr")];
    board.rows.forEach((row, i) => Object.assign(row, { element: elements[i], place: i, details: null }));
    return Object.assign(board, { section, body: section.querySelector("tbody") });
  });
  const tabs = document_.tabs;
  let state = harness.state();

  const value = (board, row, name) => {
    if (name === "rank") return row.rank;
    if (name in row) return row[name];
    const place = board.columns.indexOf(name);
    return place < 0 ? undefined : row.figures[place].value;
  };
  const has = (board, name) => board.sortable.includes(name);
  const falls = (name) => boards.some((board) => board.columns.includes(name));
  const direction = () => state.dir || (falls(state.sort) ? "down" : "up");

  function matches(board, row) {
    return FILTERS.every((name) => {
      const wanted = state[name];
      if (!wanted) return true;
      if (name === "method") return row.method.toLowerCase().includes(wanted.toLowerCase());
      return (name in row ? row[name] : board[name]) === wanted;
    });
  }

  function sorted(board) {
    const name = has(board, state.sort) ? state.sort : "rank";
    const sign = name !== "rank" || state.sort === "rank" ? (direction() === "down" ? -1 : 1) : 1;
    return [...board.rows].sort((one, other) => {
      const [a, b] = [value(board, one, name), value(board, other, name)];
      if (a === null || b === null) return (a === null) - (b === null) || one.place - other.place;
      const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
      return sign * order || one.place - other.place;
    });
  }

  function detailsOf(board, row) {
    const figures = board.columns.map((name, i) => {
      const figure = row.figures[i];
      if (figure.value === null) return null;
      const over = figure.train
        ? `mean of ${figure.train[3]} networks ${figure.train[0].toFixed(2)} ${harness.interval(figure.train.slice(1, 3))}`
        : null;
      return make(
        "tr",
        {},
        make("th", { scope: "row" }, board.titles[i]),
        make("td", {}, figure.text),
        make("td", {}, harness.interval(figure.interval) || "–"),
        make("td", {}, over || "–"),
        make("td", { class: "drawn" }, harness.drawn(figure, board.axes[i], board.source)),
      );
    });
    const heads = ["", "figure", "95 % over test images", "95 % over training seeds", ""];
    const parts = [
      make(
        "table",
        { class: "details" },
        make("thead", {}, make("tr", {}, heads.map((head) => (head ? make("th", { scope: "col" }, head) : make("td"))))),
        make("tbody", {}, figures),
      ),
    ];
    for (const text of row.about) parts.push(make("p", {}, text));
    if (row.runs.length) {
      const links = row.runs.map((run, i) => [i ? ", " : "", make("a", { href: `run.html#run=${run}` }, String(run))]);
      parts.push(make("p", {}, row.runs.length > 1 ? "Runs " : "Run ", links));
    }
    if (row.failed.length) {
      const links = row.failed.map(({ run, seed }, i) => [
        i ? ", " : "",
        make("a", { href: `run.html#run=${run}` }, `seed ${seed} (run ${run})`),
      ]);
      parts.push(make("p", {}, "Failed: ", links));
    }
    const width = row.element.cells.length;
    return make("tr", { class: "more" }, make("td", { colspan: width }, parts));
  }

  function toggle(board, row, button) {
    if (row.details) {
      row.details.remove();
      row.details = null;
    } else {
      row.details = detailsOf(board, row);
      row.element.after(row.details);
    }
    button.setAttribute("aria-expanded", String(row.details !== null));
  }

  function prepare(board) {
    for (const head of board.section.querySelectorAll("th[data-sort]")) {
      const name = head.dataset.sort;
      const text = head.textContent;
      head.replaceChildren(make("button", { type: "button", class: "sort", onclick: () => sortBy(name) }, text));
    }
    const heads = [...board.section.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    for (const row of board.rows) {
      [...row.element.cells].forEach((cell, i) => (cell.dataset.label = heads[i]));
      const button = make(
        "button",
        { type: "button", class: "expand", "aria-expanded": "false", "aria-label": `Details of ${row.method}` },
        "+",
      );
      button.addEventListener("click", () => toggle(board, row, button));
      row.element.querySelector("th").prepend(button);
      const flags = row.element.querySelector("[data-label=flags]");
      if (flags && row.flags.length)
        flags.replaceChildren(
          ...row.flags.map((flag) =>
            make("button", { type: "button", class: "flag", "data-tip": flag.text, "aria-label": `flag ${flag.mark}` }, flag.mark),
          ),
        );
    }
    const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell", "th[scope=col]": "columnheader", "th[scope=row]": "rowheader" };
    for (const [selector, role] of Object.entries(ROLES)) // cards on a phone are still a table to a screen reader
      for (const part of board.section.querySelectorAll(selector)) part.setAttribute("role", role);
    board.section.classList.add("ready");
  }

  function draw(board) {
    const name = board.columns.includes(state.sort) ? state.sort : board.ranked_by;
    if (board.shown === name) return;
    board.shown = name;
    const place = board.columns.indexOf(name);
    const head = board.section.querySelector("th.drawn");
    head.replaceChildren(make("span", {}, board.titles[place]), harness.axis(board.axes[place]));
    for (const row of board.rows) {
      const cell = row.element.querySelector("td.drawn");
      cell.dataset.label = `${board.titles[place]}, from ${board.axes[place].join(" to ")} %`;
      cell.replaceChildren(harness.drawn(row.figures[place], board.axes[place], board.source));
    }
  }

  function sortBy(name) {
    const again = state.sort === name || (!state.sort && name === "rank");
    const before = direction();
    state = { ...state, sort: name, dir: "" };
    if (again) state.dir = before === "down" ? "up" : "down";
    show();
  }

  function show() {
    const open = tabs.find((tab) => tab.id === state.tab) || tabs[0];
    let count = 0;
    let total = 0;
    for (const tab of tabs) {
      const section = document.getElementById(tab.id);
      section.hidden = tab !== open;
      const link = document.querySelector(`#tabs a[data-tab="${tab.id}"]`);
      link.setAttribute("aria-selected", String(tab === open));
      link.tabIndex = tab === open ? 0 : -1;
    }
    for (const board of boards) {
      const rows = sorted(board);
      let visible = 0;
      for (const row of rows) {
        row.element.hidden = !matches(board, row);
        if (row.details) row.details.hidden = row.element.hidden;
        visible += !row.element.hidden;
      }
      board.body.append(...rows.flatMap((row) => (row.details ? [row.element, row.details] : [row.element])));
      board.section.hidden = visible === 0;
      const name = has(board, state.sort) ? state.sort : "rank";
      for (const head of board.section.querySelectorAll("th[data-sort]")) {
        if (head.dataset.sort !== name) head.removeAttribute("aria-sort");
        else head.setAttribute("aria-sort", name === state.sort && direction() === "down" ? "descending" : "ascending");
      }
      draw(board);
      if (open.boards.includes(board.id)) {
        count += visible;
        total += rows.length;
      }
    }
    const status = document.getElementById("status");
    const filtered = FILTERS.some((name) => state[name]);
    status.textContent = !filtered
      ? ""
      : count
        ? `${count} of ${total} rows match; ranks are those among all rows of a board.`
        : "No row of this tab matches the filters.";
    for (const field of document.querySelectorAll("#filters [name]")) {
      const wanted = field.name === "sort" ? state.sort || "rank" : state[field.name] || "";
      if (field.value !== wanted) field.value = wanted;
    }
    harness.keep(state);
  }

  function choices(name) {
    const all = boards.flatMap((board) => board.rows.map((row) => (name in row ? row[name] : board[name])));
    return [...new Set(all)].filter((text) => text !== "").sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  }

  function build() {
    const form = document.getElementById("filters");
    const select = (name, options) => make("select", { name, id: `filter-${name}` }, options);
    const option = (value, text) => make("option", { value }, text);
    for (const name of FILTERS) {
      const field =
        name === "method"
          ? make("input", { name, id: "filter-method", type: "search", placeholder: "any", autocomplete: "off" })
          : select(name, [option("", "any"), ...choices(name).map((text) => option(text, text))]);
      form.append(make("label", { for: `filter-${name}` }, make("span", {}, name), field));
    }
    const names = [...new Set(boards.flatMap((board) => board.sortable))];
    const sort = select("sort", names.map((name) => option(name, name.replace("_", " "))));
    form.append(make("label", { for: "filter-sort" }, make("span", {}, "sort by"), sort));
    form.append(make("button", { type: "reset" }, "reset"));
    form.addEventListener("input", (event) => {
      const { name, value: text } = event.target;
      state = name === "sort" ? { ...state, sort: text, dir: "" } : { ...state, [name]: text };
      show();
    });
    form.addEventListener("reset", () => {
      state = { tab: state.tab };
      setTimeout(show);
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    const links = [...document.querySelectorAll("#tabs a")];
    document.querySelector("#tabs ul").setAttribute("role", "tablist");
    links.forEach((link, i) => {
      const { id } = tabs[i];
      link.dataset.tab = id;
      link.parentElement.setAttribute("role", "presentation");
      for (const [key, text] of [["role", "tab"], ["aria-controls", id], ["id", `${id}-link`]]) link.setAttribute(key, text);
      const section = document.getElementById(id);
      section.setAttribute("role", "tabpanel");
      section.setAttribute("aria-labelledby", `${id}-link`);
      const open = (number) => {
        state.tab = tabs[(number + tabs.length) % tabs.length].id;
        show();
        links[(number + tabs.length) % tabs.length].focus();
      };
      link.addEventListener("click", (event) => {
        event.preventDefault();
        open(i);
      });
      link.addEventListener("keydown", (event) => {
        const step = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        open(step);
      });
    });
  }

  boards.forEach(prepare);
  build();
  addEventListener("hashchange", () => {
    state = harness.state();
    show();
  });
  show();
  document.documentElement.dataset.ready = "yes";
});
