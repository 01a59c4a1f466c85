"""Side-by-side measurements: ours beside the limit of the machine, in one run. Ratios count, not figures."""
