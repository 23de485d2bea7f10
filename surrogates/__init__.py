"""Surrogates: datasets in, predictions with structured covariance out. Knows torch, and neither solvers nor constraints."""
