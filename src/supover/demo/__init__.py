"""The demo: a made-up shop with two years of history, for first impressions, tests and measurements.

Owns no table: everything goes through the commands of the rooms, as if it came from channels.
"""
