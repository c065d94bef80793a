"""`python -m agents`: one node's agent alone."""

from miniplane.process import run_module

from . import Settings, run

if __name__ == "__main__":
    run_module("agent", Settings, run)
