type Ring = GeoJSON.Position[];

/**
 * Polygons for a flat map. Natural Earth's outlines are stored for a globe: Russia and Fiji step over the 180th
 * meridian and Antarctica runs around the pole, which a flat map would draw as bands across the whole world. Unwrapped
 * rings may leave ±180°; MapLibre draws the part beyond in the next copy of the world.
 */
export function unwrapPolygons(land: GeoJSON.FeatureCollection): GeoJSON.FeatureCollection {
  return { ...land, features: land.features.map((feature) => ({ ...feature, geometry: unwrapGeometry(feature.geometry) })) };
}

function unwrapGeometry(geometry: GeoJSON.Geometry): GeoJSON.Geometry {
  switch (geometry.type) {
    case "Polygon":
      return { ...geometry, coordinates: geometry.coordinates.map(unwrapRing) };
    case "MultiPolygon":
      return { ...geometry, coordinates: geometry.coordinates.map((rings) => rings.map(unwrapRing)) };
    default:
      return geometry;
  }
}

/** The ring with steps of less than half a turn, centred in ±180°, and closed over the pole if it goes around one. */
export function unwrapRing(ring: Ring): Ring {
  const points: Ring = [];
  let previous = ring[0]?.[0] ?? 0;
  for (const [lon = 0, lat = 0] of ring) {
    previous = lon - 360 * Math.round((lon - previous) / 360);
    points.push([previous, lat]);
  }
  const lons = points.map(([lon = 0]) => lon);
  const first = lons[0] ?? 0;
  if (Math.abs(previous - first) > 180) {
    const pole = (points[0]?.[1] ?? 0) < 0 ? -90 : 90;
    points.push([previous, pole], [first, pole], [first, points[0]?.[1] ?? pole]);
  }
  const turns = 360 * Math.round((Math.min(...lons) + Math.max(...lons)) / 720);
  return turns === 0 ? points : points.map(([lon = 0, lat = 0]) => [lon - turns, lat]);
}
