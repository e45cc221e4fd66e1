import type { Measure } from "../api/types";

const MINUS = "\u2212";
const THIN = "\u202f";
const integers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const twoDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const threeDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const compacts = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const dates = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const times = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

export const formatCount = (value: number): string => integers.format(value);

/** Whole hours; under ten hours one decimal, so that a single customer does not read "0 h". */
export function formatHours(minutes: number): string {
  const hours = minutes / 60;
  return `${hours < 10 ? String(Math.round(hours * 10) / 10) : integers.format(hours)}${THIN}h`;
}

export function formatPercent(fraction: number, digits = 1): string {
  return `${(fraction * 100).toFixed(digits)}${THIN}%`;
}

/** A tolerance as people write it: 5 % and not 5.0 %. */
export const formatTolerance = (fraction: number): string => `${Number((fraction * 100).toFixed(1))}${THIN}%`;

/** Signed, with a real minus; what rounds to zero carries no sign. */
export function formatImbalance(fraction: number): string {
  const text = formatPercent(Math.abs(fraction));
  if (Number.parseFloat(text) === 0) return text;
  return (fraction < 0 ? MINUS : "+") + text;
}

export function formatDate(timestamp: string | null): string {
  const moment = timestamp === null ? Number.NaN : Date.parse(timestamp);
  return Number.isNaN(moment) ? "never" : dates.format(moment);
}

export function formatDateTime(timestamp: string): string {
  const moment = Date.parse(timestamp);
  return Number.isNaN(moment) ? timestamp : `${dates.format(moment)}, ${times.format(moment)}`;
}

const MEASURE_TITLES: Readonly<Record<string, string>> = {
  customers: "Customers",
  density: "Density",
  work_minutes: "Work",
  potential: "Potential",
  revenue: "Revenue",
};

/** Also for measures this page has never heard of: any imported number can be balanced. */
export function measureTitle(measure: string): string {
  const words = measure.replaceAll("_", " ");
  return MEASURE_TITLES[measure] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

export const HEAT_TITLES: Readonly<Record<Measure, string>> = {
  customers: "Customers per hexagon",
  density: "Customers per km²",
  work_minutes: "Work hours a year per hexagon",
  potential: "Potential per hexagon",
};

/** A heat value as a bare number in the unit `HEAT_TITLES` names. */
export function formatHeat(measure: Measure, value: number): string {
  const number = measure === "work_minutes" ? value / 60 : value;
  if (number >= 10_000) return compacts.format(number);
  if (measure === "customers" || number >= 100) return integers.format(number);
  return (number < 10 ? twoDigits : threeDigits).format(number);
}

/** What stands for a number of so few customers that the caller is not told it. */
export const UNTOLD = "–";

export const orUntold = (value: number | null | undefined, format: (value: number) => string): string =>
  value === null || value === undefined ? UNTOLD : format(value);

export const plural = (n: number, one: string, many = `${one}s`): string => `${formatCount(n)} ${n === 1 ? one : many}`;
