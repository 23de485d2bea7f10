"""Datasets: solvers' results as labelled files that are enough to train, constrain and judge."""
