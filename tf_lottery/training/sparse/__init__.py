"""The sparse engine: training at the cost of the weights that remain, on one processor core."""
