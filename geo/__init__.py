"""H3 cells and geometry: no SQL, no HTTP, no knowledge of the application or the solver.

Cell ids are ``uint64`` arrays, coordinates are degrees in ``lon, lat`` order, distances metres.
"""
