"""The pure decisions of router, watchdog, compensation and notifier together, on a simulated log, store and clock.

Everything that happens follows from a seed: `python -m chaos.simulation --seed 17` plays it again.
"""
