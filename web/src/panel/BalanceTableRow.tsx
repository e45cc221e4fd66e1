import { memo, useEffect, useRef } from "react";

import type { BalanceRow } from "../api/types";
import { isOutside } from "../lib/balance";
import { formatCount, formatImbalance, orUntold } from "../lib/format";
import { territoryColour } from "../lib/palette";
import { ImbalanceBar } from "./ImbalanceBar";

interface Props {
  row: BalanceRow;
  imbalance: number | null;
  tolerance: number | undefined;
  extent: number;
  isHovered: boolean;
  isSelected: boolean;
  onHover: (territoryId: number | null) => void;
  onPick: (territoryId: number) => void;
}

export const BalanceTableRow = memo(function BalanceTableRow(props: Props) {
  const { row, imbalance, tolerance, isHovered, isSelected, onHover, onPick } = props;
  const element = useRef<HTMLTableRowElement>(null);
  const outside = imbalance !== null && isOutside(imbalance, tolerance);

  const who = row.rep?.name ?? (row.name === row.code ? "unassigned" : row.name);

  useEffect(() => {
    if (isSelected) element.current?.scrollIntoView({ block: "nearest" });
  }, [isSelected]);

  return (
    <tr
      ref={element}
      data-testid={`balance-row-${row.code}`}
      className={`${isHovered ? "is-hovered" : ""} ${isSelected ? "is-selected" : ""}`}
      onMouseEnter={() => onHover(row.territory_id)}
      onMouseLeave={() => onHover(null)}
      onClick={() => onPick(row.territory_id)}
    >
      <th scope="row">
        <button
          type="button"
          className="row-button"
          aria-pressed={isSelected}
          onFocus={() => onHover(row.territory_id)}
          onBlur={() => onHover(null)}
        >
          <i className="swatch" style={{ background: territoryColour(row.colour) }} aria-hidden="true" />
          <span className="row-button__code">{row.code}</span>
          <span className="row-button__name" title={who}>
            {who}
          </span>
        </button>
      </th>
      <td className="number">{orUntold(row.customers, formatCount)}</td>
      <td className="number">{orUntold(row.work_minutes, (minutes) => formatCount(minutes / 60))}</td>
      <td className={outside ? "number is-outside" : "number"}>
        {imbalance !== null && <ImbalanceBar imbalance={imbalance} tolerance={tolerance} extent={props.extent} />}
        <span className="imbalance">{orUntold(imbalance, formatImbalance)}</span>
        {outside && <span className="visually-hidden"> outside the tolerance</span>}
      </td>
    </tr>
  );
});
