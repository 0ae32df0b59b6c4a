// 3. The predictions against what came out, over all of the run and over time.
"use strict";

rlkitPage.sections.push((() => {
  const curveOf = new Chart("calibration", "Predicted against observed success", {
    note: "On the dashed line predictions are right. Whiskers: 95% of the mean; the larger the marker, the more groups.",
    x: { label: "predicted mean", value: number, tick: short }, y: { label: "observed mean" },
  });
  const explained = new Chart("explained", "Explained variance of the groups' success", {
    note: "Of predictions made before the rollouts, over the last 512 groups. 0 is no better than the mean, and what lies far below is cut off; dotted, what the true probabilities would explain.",
    y: { range: (_, low, high) => [Math.max(Math.min(low, 0), -0.5) - 0.02, Math.max(high, 0.2) + 0.04], value: percent, tick: percent },
  });
  const table = new SortedTable("Predictions over the whole run; Brier score and rank correlation at its end", [
    { name: "run" },
    { name: "explained", label: "explained variance", numeric: true, text: (row) => percent(row.explained) },
    { name: "possible", label: "of the truth", title: "What the true probabilities would explain, estimated from the spread within groups", numeric: true, text: (row) => percent(row.possible) },
    { name: "share", label: "share of the oracle", numeric: true, text: (row) => percent(row.share) },
    { name: "brier", label: "Brier score", numeric: true },
    { name: "spearman", label: "rank correlation", numeric: true },
    { name: "groups", numeric: true },
  ]);

  const predicting = () => rlkitPage.data.runs.map((run, place) => [run, place]).filter(([run]) => run.calibration !== null);

  function bins() {
    return predicting().map(([run, place]) => {
      const found = run.calibration.bins;
      const most = Math.max(...found.map((bin) => bin.groups));
      const column = (name) => found.map((bin) => bin[name]);
      return {
        name: run.name, ...look(place), dots: true, dash: false, x: column("predicted"), y: column("observed"),
        low: found.map((bin) => bin.low ?? bin.observed), high: found.map((bin) => bin.high ?? bin.observed),
        sizes: column("groups").map((groups) => 3 + 6 * Math.sqrt(groups / most)),
      };
    });
  }

  function possible() {
    return predicting().map(([run, place]) => {
      const { step, possible: y } = run.calibration.windows;
      return { name: `${run.name}: the truth`, color: look(place).color, dash: [3, 5], ...points(step.map((value) => placeOf(run, value)), y) };
    });
  }

  function rows() {
    return predicting().map(([run]) => {
      const { explained: value, possible: most } = run.calibration.whole;
      const { groups } = run.calibration;
      const last = (name) => (run.curves[`calibration/${name}`] ?? []).findLast((each) => each !== null);
      return {
        run: run.name, explained: value, possible: most, groups, brier: last("brier"), spearman: last("spearman"),
        share: value > 0 && most > 0 ? Math.min(value / most, 1) : value === null ? null : 0,
      };
    });
  }

  function tellCounts(chart) {
    const counts = predicting().flatMap(([run]) => run.calibration.bins);
    chart.options.x.value = (x) => {
      const bin = counts.find((each) => each.predicted === x);
      return `predicted ${number(x)}${bin ? `, ${number(bin.groups)} groups` : ""}`;
    };
  }

  return {
    id: "knowledge",
    question: "3. Does the curriculum know what it does?",
    answer: true,
    build: () => [h("div", { class: "grid" }, curveOf.element, explained.element), table.element],
    update: () => {
      const [low, high] = [Math.min(0, ...rlkitPage.data.runs.map((run) => run.range[0])), Math.max(...rlkitPage.data.runs.map((run) => run.range[1]), 0.1)];
      const limits = [low - 0.04 * (high - low), high + 0.04 * (high - low)];
      tellCounts(curveOf);
      curveOf.set(bins(), { diagonal: [low, high], x: { ...curveOf.options.x, range: limits }, y: { ...curveOf.options.y, range: limits } });
      const predicts = new Set(predicting().map(([, place]) => place));
      explained.set([...series("calibration/explained_variance").filter((one) => predicts.has(one.run)), ...possible()]);
      table.set(rows());
      table.element.hidden = table.rows.length === 0;
    },
  };
})());
