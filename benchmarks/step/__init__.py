"""Sides of ``benchmarks.train_step``: a file a library, each ``start(batch, …)`` → ``run(steps)``.

``run`` takes as many steps as it is told and returns when the last one is done.
"""
