"""Supover: the customers, orders and parcels of many shops in one place."""

__version__ = "0.1.0"
