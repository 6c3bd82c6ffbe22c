"""Simulated image providers: real HTTP(S) servers that speak a provider's own wire format.

Written only from the providers' documentation, so that an error in our adapters is not repeated here.
`python -m simulator fal --port 9100` starts one; docs/simulator.md has the rest.
"""
