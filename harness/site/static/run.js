// The page of a run, or of a model from elsewhere; without a number in the address, the list of all.
"use strict";

harness.unpack("runs").then((found) => {
  const { make, section, table } = harness;
  const right = (text) => ({ text, class: "figure" });

  const status = (run) =>
    run.status === "done" ? "done" : make("span", { class: run.status === "failed" ? "failed" : "running" }, run.status);

  function list() {
    const runs = found.runs.map((run) => [
      make("a", { href: `#run=${run.id}` }, String(run.id)),
      make("a", { href: harness.address("method.html", { method: run.method }) }, run.label),
      run.arch,
      run.dataset,
      right(String(run.seed)),
      status(run),
      right(`${run.epochs[0]}/${run.epochs[1] ?? "?"}`),
      right(run.headline || "–"),
      run.under,
    ]);
    const heads = ["run", "method", "network", "data set", right("seed"), "status", right("epochs"), right("last attack"), "under"];
    const models = found.models.map((model) => [
      make("a", { href: `#model=${model.id}` }, model.label),
      model.arch,
      model.dataset,
      right(model.headline || "–"),
      model.under,
    ]);
    const empty = make("p", {}, "No run yet. ", make("code", {}, "harness run sat --dataset digits --arch smallcnn"), " makes one.");
    harness.page("Runs", [
      make("h1", {}, "Runs"),
      make("p", { class: "lead" }, "A run is the training of one network from one seed, with the attacks on it."),
      runs.length ? table({ heads, rows: runs, classes: "wide" }) : empty,
      models.length
        ? section(
            "Models from elsewhere",
            table({ heads: ["model", "network", "data set", right("last attack"), "under"], rows: models, classes: "wide" }),
          )
        : null,
    ]);
  }

  function attacks(checkpoint) {
    const rows = checkpoint.attacks.map((attack) => [
      attack.attack,
      right(attack.figure),
      right(attack.interval),
      make("ul", { class: "seeds" }, attack.seeds.map((_, i) => make("li", {}, one(attack, i)))),
      make("span", { class: "settings" }, attack.settings || "–"),
    ]);
    const heads = ["attack", right("right, %"), right("95 % over test images"), "each attack seed: right of images", "settings"];
    const warnings = checkpoint.attacks.flatMap((attack) => attack.warnings.map((text) => `${attack.attack}: ${text}`));
    return [
      table({ heads, rows, classes: "wide attacks stack" }),
      warnings.length
        ? make("details", {}, make("summary", {}, `Warnings of the attacks (${warnings.length})`), make("ul", {}, warnings.map((w) => make("li", {}, w))))
        : null,
    ];
  }

  function one(attack, i) {
    const [seed, correct, done, seconds] = ["seeds", "correct", "done", "seconds"].map((name) => attack[name][i]);
    const complete = done === attack.images;
    const text = complete ? `${correct} of ${done}` : `${done} of ${attack.images} attacked`;
    return [make("b", {}, String(seed)), ` ${text}`, make("span", { class: "soft" }, ` ${seconds} s`)];
  }

  function classes(checkpoint) {
    const known = checkpoint.attacks.filter((attack) => attack.classes);
    if (!known.length) return null;
    const rows = checkpoint.classes.map((name, i) => [
      name,
      ...known.map(({ classes: counts }) => {
        const [correct, all] = counts.map((of) => of[i]);
        return all ? harness.bar(correct / all, `${((100 * correct) / all).toFixed(0)} % (${correct}/${all})`) : "–";
      }),
    ]);
    return section(
      `Accuracy by class, ${checkpoint.name}`,
      make("p", { class: "soft" }, "Images of each class that are right under every seed of an attack."),
      table({ heads: ["class", ...known.map((attack) => attack.attack)], rows, classes: "bars" }),
    );
  }

  function radii(checkpoint) {
    if (!checkpoint.radii.length) return null;
    const all = [...new Set(checkpoint.radii.flatMap((curve) => curve.points.map(([radius]) => radius)))].sort((a, b) => a - b);
    const names = new Map(checkpoint.radii.flatMap((curve) => curve.points.map(([radius, text]) => [radius, text])));
    const series = checkpoint.radii.map((curve) => {
      const by = new Map(curve.points.map((point) => [point[0], point[2]]));
      return { label: curve.attack, points: true, values: all.map((radius) => by.get(radius) ?? null) };
    });
    const rows = all.map((radius) => [
      names.get(radius),
      ...checkpoint.radii.map((curve) => {
        const point = curve.points.find(([other]) => other === radius);
        return right(point ? `${point[2].toFixed(2)} ${harness.interval([point[3], point[4]])}` : "–");
      }),
    ]);
    const caption = `Accuracy in percent against the radius of the ball, from ${names.get(all[0])} to ${names.get(all.at(-1))}.`;
    return section(
      `Robust accuracy against ε, ${checkpoint.name}`,
      harness.lines({ x: all, series, labels: ["ε", "right, %"], caption, height: 260, range: [0, 100] }),
      table({ heads: ["ε", ...checkpoint.radii.map((curve) => right(`${curve.attack}, ${curve.images} images`))], rows }),
    );
  }

  /** The findings of an examination: check, state, mark, reason, threshold. Reasons have their numbers put back. */
  function findingsOf({ kind, numbers }) {
    let next = 0;
    return found.checks[kind].map(([check, state, mark, reason, threshold]) => {
      const text = reason.map((part, i) => (i ? numbers[next++] + part : part)).join("");
      return [check, state, mark, text, threshold];
    });
  }

  function findings(checkpoint) {
    if (!checkpoint.examinations.length) return null;
    const ORDER = ["flagged", "passed", "not-applicable"];
    return section(
      `Checks of rigour, ${checkpoint.name}`,
      make("p", { class: "soft" }, "A flag is a warning sign that a figure may not be what it seems; none is a proof."),
      checkpoint.examinations.map((examination) => {
        const { about } = examination;
        const all = findingsOf(examination);
        const sorted = [...all].sort((a, b) => ORDER.indexOf(a[1]) - ORDER.indexOf(b[1]));
        const flagged = all.filter(([, state]) => state === "flagged").length;
        const rows = sorted.map(([check, state, mark, reason, threshold]) => [
          check,
          state === "flagged" ? make("span", { class: "failed" }, `${mark} flagged`) : state.replace("-", " "),
          reason + (threshold === null ? "" : ` (flagged beyond ${threshold})`),
        ]);
        return make(
          "details",
          { open: flagged > 0 },
          make("summary", {}, `Checks ${about}: ${flagged ? `${flagged} flagged` : "none flagged"}, ${all.length} made`),
          table({ heads: ["check", "result", "what was seen"], rows, caption: `Checks ${about}`, classes: "wide stack" }),
        );
      }),
    );
  }

  function curves(run) {
    if (!run.curves) return null;
    const { epochs, series, step } = run.curves;
    const charts = Object.entries(series).map(([name, values]) => {
      const known = epochs.map((epoch, i) => [epoch, values[i]]).filter(([, value]) => value !== null);
      const title = name === "lr" ? "learning rate" : name.replaceAll("_", " ");
      const caption = known.length
        ? `${title}: ${known[0][1]} in epoch ${known[0][0]}, ${known.at(-1)[1]} in epoch ${known.at(-1)[0]}`
        : `${title}: not a finite number`;
      return harness.lines({ x: epochs, series: [{ label: title, values }], labels: ["epoch", ""], caption, height: 170 });
    });
    const sparse = step > 1 ? make("p", { class: "soft" }, `Every ${step}th epoch, and the last, are drawn.`) : null;
    return section("Training", sparse, make("div", { class: "charts" }, charts));
  }

  /** A share in percent with one decimal; of two that are as near, the even one, as everywhere in harness. */
  function percent(count, images) {
    const tenths = (1000 * count) / images;
    const even = tenths % 1 === 0.5 && Math.round(tenths) % 2 ? Math.floor(tenths) : Math.round(tenths);
    return (even / 10).toFixed(1);
  }

  /** The last point of a curve in words, and how far it lies below the best one. */
  function said(epochs, images, [name, ...counts]) {
    const known = counts.map((count, i) => [epochs[i], count]).filter(([, count]) => count !== null);
    const [last, count] = known.at(-1);
    const [best, most] = known.reduce((one, other) => (other[1] > one[1] ? other : one));
    const then = last === epochs.at(-1) ? "" : ` after epoch ${last}`;
    const lost = most > count ? ` (${percent(most - count, images)} points below its best, after epoch ${best})` : "";
    return `${name} ${percent(count, images)} %${then}${lost}`;
  }

  /** Accuracies that were recorded in training: a chart for each sample of images, and all its points in a table. */
  function recorded({ recorded: held }) {
    if (!held) return null;
    const { epochs, samples, step } = held;
    const charts = samples.map(({ part, images, attacks }) => {
      const series = attacks.map(([label, ...counts]) => ({
        label,
        points: epochs.length < 20,
        values: counts.map((count) => (count === null ? null : Number(percent(count, images)))),
      }));
      const words = attacks.map((attack) => said(epochs, images, attack)).join(", ");
      const caption = `Right of ${images} ${part} images, in percent; after epoch ${epochs.at(-1)}: ${words}`;
      return harness.lines({ x: epochs, series, labels: ["epoch", "right, %"], caption, height: 220, range: [0, 100] });
    });
    const columns = samples.flatMap(({ attacks, ...of }) => attacks.map(([name, ...counts]) => ({ ...of, name, counts })));
    const heads = columns.map(({ part, images, name }) => right(`${name}, of ${images} ${part}`));
    const rows = epochs.map((epoch, i) => [String(epoch), ...columns.map(({ counts }) => right(String(counts[i] ?? "–")))]);
    const sparse = step > 1 ? ` One point in ${step} is shown, with the best and the last of each curve.` : "";
    return section(
      "Accuracy during training",
      make("p", { class: "soft" }, `Measured on a small sample while the network was trained; no figure of the leaderboard.${sparse}`),
      make("div", { class: "charts" }, charts),
      make(
        "details",
        {},
        make("summary", {}, "These points as a table"),
        table({ heads: ["epoch", ...heads], rows, caption: "Images that are right, by epoch" }),
      ),
    );
  }

  function detail(run, isModel) {
    const title = isModel ? run.label : `Run ${run.id}: ${run.label}`;
    const parts = [
      make("h1", {}, title),
      make(
        "p",
        { class: "lead" },
        isModel ? "A model from elsewhere: " : "",
        `${run.network} on ${run.dataset}`,
        isModel ? "" : `, training seed ${run.seed}, `,
        isModel ? "" : status(run),
        run.failure ? `: ${run.failure}` : "",
      ),
    ];
    if (!isModel) {
      const method = make("a", { href: harness.address("method.html", { method: run.method }) }, `all of ${run.method}`);
      parts.push(make("p", {}, make("a", { href: "run.html" }, "all runs"), " · ", method));
    }
    const [attacked, others] = [true, false].map((yes) => run.checkpoints.filter((c) => (c.attacks.length > 0) === yes));
    for (const checkpoint of attacked) {
      const epoch = checkpoint.epoch === null ? "" : `, epoch ${checkpoint.epoch}`;
      parts.push(section(isModel ? "Accuracy" : `Accuracy, checkpoint ${checkpoint.name}${epoch}`, attacks(checkpoint)));
      parts.push(classes(checkpoint), radii(checkpoint), findings(checkpoint));
    }
    for (const { name, epoch } of others)
      parts.push(make("p", { class: "soft" }, `The checkpoint ${name}${epoch === null ? "" : `, of epoch ${epoch},`} was not attacked.`));
    parts.push(curves(run), recorded(run));
    if (!isModel) {
      parts.push(
        section(
          "Train it again",
          ...(run.command ? [make("pre", { tabindex: "0" }, make("code", {}, run.command))] : []),
          run.remarks.length
            ? make("ul", {}, run.remarks.map((text) => make("li", {}, text)))
            : make("p", { class: "soft" }, "Makes a run of the same identity, and attacks it under the same protocol."),
        ),
      );
    }
    parts.push(section("Settings and provenance", harness.facts(run.facts)));
    harness.page(title, parts);
  }

  function show() {
    const state = harness.state();
    const run = found.runs.find(({ id }) => String(id) === state.run);
    const model = found.models.find(({ id }) => String(id) === state.model);
    if (run || model) detail(run || model, !run);
    else list();
    if (state.run && !run) document.querySelector("h1").after(make("p", { class: "failed" }, `There is no run ${state.run}.`));
  }

  addEventListener("hashchange", () => {
    show();
    scrollTo(0, 0);
  });
  show();
});
