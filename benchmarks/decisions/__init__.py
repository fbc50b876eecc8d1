"""Is the engine right about canaries, and how soon? Simulated rollouts, judged by it and by its peers.

    python -m benchmarks.decisions --rollouts 400 --only small

Owns the simulator (`scenario`, with one file for each thing that happens in it), the peers' rules as their
sources have them (`flagger`, `argo`, `kayenta`), and the table. The noise is not of the form that the engine
assumes: mixtures of time scales, jumps, log-t tails, queues. Seeds to tune on and seeds to report are apart.
"""
