interface Props {
  imbalance: number;
  tolerance: number | undefined;
  extent: number;
}

const WIDTH = 60;
const HEIGHT = 14;
const MIDDLE = WIDTH / 2;

/** A bar from the target outwards, on the band of what is allowed. The number beside it says the same in text. */
export function ImbalanceBar({ imbalance, tolerance, extent }: Props) {
  const toPx = (fraction: number): number => (Math.min(Math.abs(fraction), extent) / extent) * MIDDLE;
  const length = toPx(imbalance);
  const band = tolerance === undefined ? 0 : toPx(tolerance);
  return (
    <svg className="bar" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <rect className="bar__band" x={MIDDLE - band} width={2 * band} height={HEIGHT} rx={2} />
      <rect className="bar__value" x={imbalance < 0 ? MIDDLE - length : MIDDLE} y={3} width={length} height={HEIGHT - 6} />
      <line className="bar__target" x1={MIDDLE} x2={MIDDLE} y2={HEIGHT} />
    </svg>
  );
}
