"""What benchmarks/finite_volume.py asks each package to do, one file a package."""
