"""Solving for price steps without BLAS: same bits for any number of threads."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray
from balancing.compiled import compiled

# Far below what a line search notices of a Newton step.
RELATIVE_RESIDUAL = 1e-6
# Eighty are nearly always enough for 200 territories (yd100k); only where a unit outweighs a
# territory are there more, and a direction cut short still leads downhill.
MOST_ITERATIONS = 150


@compiled
def solve_symmetric(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Return (k,) solution of matrix (k, k) x = right, positive definite and mostly zeros.

    Conjugate gradients with Jacobi preconditioning (Saad, Iterative Methods for Sparse Linear
    Systems, 2003, algorithm 9.1). The curvature of a power diagram has an entry per pair of
    neighbouring territories, so a product costs O(k). Library solvers share the work among
    threads: the order of additions, and with it the plan, would depend on the machine.
    """
    n_rows = len(right)
    rows, columns = np.nonzero(matrix)
    entries = np.empty(len(rows))
    for place in range(len(rows)):
        entries[place] = matrix[rows[place], columns[place]]
    inverse_diagonal = 1.0 / np.diag(matrix)
    solution = np.zeros(n_rows)
    residual = right.copy()
    scaled = inverse_diagonal * residual
    direction = scaled.copy()
    steepness = np.sum(residual * scaled)
    goal = RELATIVE_RESIDUAL**2 * steepness
    for _ in range(MOST_ITERATIONS):
        if steepness <= goal:
            break
        image = np.zeros(n_rows)
        for place in range(len(rows)):
            image[rows[place]] += entries[place] * direction[columns[place]]
        length = steepness / np.sum(direction * image)
        solution += length * direction
        residual -= length * image
        scaled = inverse_diagonal * residual
        before = steepness
        steepness = np.sum(residual * scaled)
        direction = scaled + steepness / before * direction
    return solution
