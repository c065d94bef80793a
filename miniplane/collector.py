"""The garbage collector's settings for a process that runs for long and holds many objects.

Everything that programs keep is freed by reference counts; the collector only finds cycles. By default it looks for
them every 700 new containers, and now and then through all that a server caches: a pause of 50 ms at 10,000 pods.
"""

import gc

_THRESHOLDS = (50_000, 20, 100)


def settle() -> None:
    """Call once a program has started: what is there now stays, and the rest is looked through more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
