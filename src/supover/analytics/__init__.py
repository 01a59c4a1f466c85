"""Analytics: what customers are worth, always recounted from the orders.

Owns the tables customer_metrics and customer_stale. Orders leave a mark in their transaction; a drain recounts.
"""
