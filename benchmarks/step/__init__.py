"""Sides of ``benchmarks.train_step``: a file a library, each ``start(batch, …)`` → ``run(steps)``.

``run`` takes as many steps as requested and returns when the last one is done.
"""
