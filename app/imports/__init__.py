"""Import of customers and reps from CSV and GeoJSON: upload, read in a child, stage, merge."""
