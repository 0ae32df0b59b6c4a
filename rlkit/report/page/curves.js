// From a run's data to the points of a curve on the chosen axis.
"use strict";

const AXIS_NAMES = { steps: "steps", rollouts: "rollouts", tokens: "tokens generated", seconds: "time" };
const axisValue = (value) => (rlkitPage.state.axis === "seconds" ? duration(value) : number(value));
const axisTick = (value) => (rlkitPage.state.axis === "seconds" ? duration(value) : short(value));

// A column of metrics.jsonl on the chosen axis: { x, y }, without the points that lack one of them.
function curve(run, column) {
  return points(run.axes[rlkitPage.state.axis], run.curves[column] ?? []);
}

function points(x, y) {
  const known = x.map((_, place) => place).filter((place) => x[place] !== null && y[place] !== null && y[place] !== undefined);
  return { x: known.map((place) => x[place]), y: known.map((place) => y[place]) };
}

// What a run had spent at a step, on the chosen axis, between its points by interpolation.
function placeOf(run, step) {
  const steps = run.axes.steps;
  const spent = run.axes[rlkitPage.state.axis];
  const next = steps.findIndex((value) => value >= step);
  if (next === -1) return spent[spent.length - 1] ?? 0;
  const [before, from] = next === 0 ? [0, 0] : [steps[next - 1], spent[next - 1]];
  return from + ((step - before) / Math.max(steps[next] - before, 1)) * (spent[next] - from);
}

// Means over a moving window of a thirtieth of the points, the middle one at its place.
function smooth(values) {
  const half = Math.floor(values.length / 60);
  return values.map((_, place) => {
    const near = values.slice(Math.max(place - half, 0), place + half + 1);
    return sum(near) / near.length;
  });
}

const isRough = (run) => rlkitPage.state.smooth && run.axes.steps.length >= 60;

// The series of a column for all runs: smoothed, and behind it thin as it was.
function series(column, name = null) {
  return rlkitPage.data.runs.flatMap((run, place) => {
    const { x, y } = curve(run, column);
    if (x.length === 0) return [];
    const style = { name: name ?? run.name, run: place, ...look(place) };
    if (!isRough(run)) return [{ ...style, x, y }];
    return [{ ...style, x, y, thin: true }, { ...style, x, y: smooth(y) }];
  });
}

// What changed the runs, as lines across a chart, numbered as in the list below the first chart.
function marks() {
  return rlkitPage.data.runs.flatMap((run, place) =>
    run.marks.map((mark) => ({ x: mark[rlkitPage.state.axis], text: String(mark.number), ...look(place) })));
}
