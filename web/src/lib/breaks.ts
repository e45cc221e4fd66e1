const N_CLASSES = 6;

/** Interior class boundaries: class i holds values from `breaks[i-1]` up to, not including, `breaks[i]`. */
export function quantileBreaks(values: readonly number[], nClasses: number = N_CLASSES): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  const candidates = Array.from({ length: nClasses - 1 }, (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / nClasses)]);
  return interior(candidates, sorted[0]);
}

/**
 * Boundaries given by the service when it gave any, else our own. Repeated ones (many equal values) are merged, and
 * outer ones (some services list minimum and maximum too) dropped: both would show as empty classes.
 */
export function heatBreaks(values: readonly number[], given: readonly number[] | undefined): number[] {
  const min = values.reduce((least, value) => Math.min(least, value), Infinity);
  const max = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const useful = interior(given ?? [], min).filter((value) => value < max);
  return useful.length > 0 ? useful : quantileBreaks(values);
}

function interior(candidates: readonly (number | undefined)[], min = Infinity): number[] {
  const above = candidates.filter((value) => value !== undefined && Number.isFinite(value) && value > min);
  return [...new Set(above as number[])].toSorted((a, b) => a - b);
}
