"""What is done by the clock: the nightly rebalance and the quarterly review."""
