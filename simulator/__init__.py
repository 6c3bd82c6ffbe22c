"""Simulated image providers: real HTTP(S) servers that speak a provider's own wire format.

Written from the providers' documentation and from nothing of ours, so that an error in our adapters cannot
repeat itself here. `python -m simulator fal --port 9100` starts one; docs/simulator.md has the rest.
"""
