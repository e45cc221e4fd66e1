import type { Layer } from "../api/types";

interface Props {
  layers: readonly Layer[];
  layer: Layer;
  onPick: (layerId: number) => void;
}

export function LayerPicker({ layers, layer, onPick }: Props) {
  return (
    <label className="layer-picker">
      <span className="field__label">Layer</span>
      <select data-testid="layer-picker" value={layer.id} onChange={(event) => onPick(Number(event.target.value))}>
        {layers.map((option) => (
          <option key={option.id} value={option.id}>
            {option.title ?? option.name}
            {option.plan_in_force ? "" : " (no plan in force)"}
          </option>
        ))}
      </select>
    </label>
  );
}
