import type { ReactNode } from 'react';
import { Link } from '../routing/location';

interface TileProps {
  title: string;
  value: string;
  note?: ReactNode;
  to?: string;
}

/** A number with what it means; it can lead to what it counts. */
export function Tile({ title, value, note, to }: TileProps) {
  return (
    <li className="tile">
      <span className="tile-title">{title}</span>
      <span className="tile-value number">{to ? <Link to={to}>{value}</Link> : value}</span>
      {note ? <span className="tile-note number">{note}</span> : null}
    </li>
  );
}
