"""Long tasks: run rows, the queue, and child processes for the heavy part."""
