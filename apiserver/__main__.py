"""`python -m apiserver`: the API server alone."""

from miniplane.process import run_module

from . import Settings, run

if __name__ == "__main__":
    run_module("apiserver", Settings, run)
