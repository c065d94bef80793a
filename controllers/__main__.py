"""`python -m controllers`: the controllers alone."""

from miniplane.process import run_module

from . import Settings, run

if __name__ == "__main__":
    run_module("controllers", Settings, run)
