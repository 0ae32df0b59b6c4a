// Numbers as a person reads them.
"use strict";

const MISSING = "–";

// number(0.12345) -> "0.123", number(12345) -> "12,345"
function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  if (Math.abs(value) >= 1000 || Number.isInteger(value)) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

// short(12000) -> "12k", for the ticks of an axis
function short(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(3))}B`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return value !== 0 && size < 0.001 ? value.toExponential(0) : String(Number(value.toPrecision(4)));
}

const percent = (value) => (value === null || value === undefined ? MISSING : `${Number((100 * value).toPrecision(3))}%`);

// duration(90) -> "1.5 min"
function duration(seconds) {
  if (seconds === null || seconds === undefined) return MISSING;
  if (seconds < 90) return `${Number(seconds.toPrecision(3))} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);
