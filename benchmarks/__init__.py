"""Side by side with peers, in one run: ``python -m benchmarks.train_step`` and its sisters."""
